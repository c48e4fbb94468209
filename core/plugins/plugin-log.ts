/** What a plugin prints becomes lines of our log, under its name. */
import type { Readable } from 'node:stream'
import { type Logger, logLevels } from '#api/log/log.ts'
import { readBoundedLines } from './bounded-lines.ts'
import type { KeptLog, PluginLogLine } from './kept-log.ts'

type Level = PluginLogLine['level']

const levelOfNumber: Readonly<Record<number, Level>> = { 20: 'debug', 30: 'info', 40: 'warn', 50: 'error', 60: 'error' }

export interface LogTargets {
  readonly log: Logger
  readonly kept: KeptLog
  /** Told of every line, as it came. */
  readonly onLine?: (text: string) => void
}

/**
 * Reads `stream`, and resolves at its end. Lines of pino (JSON with `level` and `msg`) keep their level and fields, anything
 * else is one `info` line. Longer and more lines than bounded-lines.ts allows are left out, and told.
 */
export async function mergeLog(stream: Readable, targets: LogTargets): Promise<void> {
  const write = (level: Level, text: string, fields: object, message = text) => {
    targets.kept.add(level, text)
    targets.log[level](fields, message)
  }
  await readBoundedLines(stream, {
    line(text, cutChars) {
      targets.onLine?.(text)
      if (cutChars > 0) return write('warn', text, { cutChars })
      const { level, message, rest } = parse(text)
      const more = Object.keys(rest).length === 0 ? '' : ` ${JSON.stringify(rest)}`
      write(level, `${message}${more}`, rest, message)
    },
    leftOut: lines => write('warn', `${lines} lines were left out: it writes too many`, {}),
  })
}

function parse(line: string): { level: Level; message: string; rest: Record<string, unknown> } {
  const fields = parseObject(line)
  if (fields === undefined || typeof fields.msg !== 'string') return { level: 'info', message: line, rest: {} }
  // The plugin's name is on our own logger already, and our line has its own time.
  const { level, msg, time: _time, name: _name, pid: _pid, hostname: _hostname, ...rest } = fields
  return { level: levelOf(level), message: String(msg), rest }
}

function levelOf(level: unknown): Level {
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
