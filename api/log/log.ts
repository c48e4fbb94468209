/** Logging, for every process of ours: pino's lines on stderr, pretty for people when asked. */
import { pino } from 'pino'
import pretty from 'pino-pretty'

/** What business code may ask of a logger: `log.info({ id }, 'text')`. */
export interface Logger {
  trace(fields: object, message: string): void
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
  /** A logger that adds `fields` to every line. */
  child(fields: Record<string, unknown>): Logger
}

export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof logLevels)[number]

export interface LogOptions {
  /** Process or part, on every line. */
  name: string
  level?: LogLevel
  /** Coloured lines for people instead of JSON. */
  pretty?: boolean
}

/** A logger that writes to stderr (fd 2), synchronously: nothing is lost when the process is killed. */
export function createLogger({ name, level = 'info', pretty: forPeople = false }: LogOptions): Logger {
  const destination = forPeople
    ? pretty({ destination: 2, sync: true, ignore: 'pid,hostname', translateTime: 'SYS:HH:MM:ss.l' })
    : pino.destination({ dest: 2, sync: true })
  return pino({ name, level, base: { pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime }, destination)
}
