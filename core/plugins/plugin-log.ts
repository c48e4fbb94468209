/** What a plugin prints becomes lines of our log, under its name. */
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { type Logger, logLevels } from '#api/log/log.ts'
import type { LogRing } from './log-ring.ts'

/** Longer lines are cut: a plugin must not be able to fill our memory. */
const maxLineChars = 32 * 1024

const levelOfNumber: Readonly<Record<number, 'debug' | 'info' | 'warn' | 'error'>> = {
  20: 'debug',
  30: 'info',
  40: 'warn',
  50: 'error',
  60: 'error',
}

/**
 * Reads `stream` to its end. Lines of pino (JSON with `level` and `msg`) keep their level and fields, anything else is
 * one `info` line. All are kept in `ring` too, as they are read.
 */
export function mergeLog(stream: Readable, log: Logger, ring: LogRing): void {
  const lines = createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY })
  lines.on('line', line => relay(line, log, ring))
  // A pipe broken by the process' death is told by its exit.
  stream.on('error', () => {})
}

function relay(line: string, log: Logger, ring: LogRing): void {
  if (line.length > maxLineChars) {
    ring.add('warn', line.slice(0, maxLineChars))
    log.warn({ cutChars: line.length - maxLineChars }, line.slice(0, maxLineChars))
  } else if (line.trim() !== '') relayParsed(line, parseObject(line), log, ring)
}

function relayParsed(line: string, fields: Record<string, unknown> | undefined, log: Logger, ring: LogRing): void {
  if (fields === undefined || typeof fields.msg !== 'string') {
    ring.add('info', line)
    log.info({}, line)
    return
  }
  // The plugin's name is on our own logger already, and our line has its own time.
  const { level, msg, time: _time, name: _name, pid: _pid, hostname: _hostname, ...rest } = fields
  const more = Object.keys(rest).length === 0 ? '' : ` ${JSON.stringify(rest)}`
  ring.add(levelOf(level), `${String(msg)}${more}`)
  log[levelOf(level)](rest, String(msg))
}

function levelOf(level: unknown): 'debug' | 'info' | 'warn' | 'error' {
  if (typeof level === 'number') return levelOfNumber[level] ?? 'info'
  const named = logLevels.find(known => known === level)
  return named === 'debug' || named === 'warn' || named === 'error' ? named : 'info'
}

function parseObject(line: string): Record<string, unknown> | undefined {
  if (!line.startsWith('{')) return undefined
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}
