/**
 * What a plugin has written: a file that outlives its process and ours, and those who follow what comes.
 *
 * `<root>/plugin-logs/<kind>-<id>.log`, a JSON object a line; at {@link maxFileBytes} it becomes `.1`, in place of the one
 * before. Lines are written in batches, one for each turn of the event loop, so that a plugin that floods costs few writes.
 */
import { closeSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, statSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { followed } from './followed.ts'

export interface PluginLogLine {
  readonly atMs: number
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly text: string
}

export interface LogSelection {
  /** So many of the last lines. */
  readonly count: number
  /** Only what was written since, in milliseconds since the epoch. */
  readonly sinceMs?: number
}

const maxFileBytes = 4 * 1024 * 1024

export class KeptLog {
  readonly #path: string
  readonly #maxBytes: number
  readonly #followers = new Set<(line: PluginLogLine) => void>()
  #waiting: PluginLogLine[] = []
  #file: number | undefined
  #bytes = 0

  constructor(path: string, { maxBytes = maxFileBytes }: { maxBytes?: number } = {}) {
    this.#path = path
    this.#maxBytes = maxBytes
  }

  add(level: PluginLogLine['level'], text: string): void {
    const line = { atMs: Date.now(), level, text }
    if (this.#waiting.push(line) === 1) setImmediate(() => this.#flush())
    for (const follow of this.#followers) follow(line)
  }

  /** A full disk must not end gantryd: then there are only the followers, and gantryd's own log. */
  #flush(): void {
    const text = this.#waiting
      .splice(0)
      .map(line => `${JSON.stringify(line)}\n`)
      .join('')
    if (text === '') return
    try {
      this.#file ??= this.#open()
      this.#bytes += writeSync(this.#file, text)
      if (this.#bytes >= this.#maxBytes) this.#rotate()
    } catch {
      this.#close()
    }
  }

  #open(): number {
    mkdirSync(dirname(this.#path), { recursive: true, mode: 0o700 })
    this.#bytes = statSync(this.#path, { throwIfNoEntry: false })?.size ?? 0
    return openSync(this.#path, 'a', 0o600)
  }

  #rotate(): void {
    this.#close()
    renameSync(this.#path, `${this.#path}.1`)
  }

  #close(): void {
    if (this.#file !== undefined) closeSync(this.#file)
    this.#file = undefined
  }

  /** Oldest first. */
  read({ count, sinceMs = 0 }: LogSelection): PluginLogLine[] {
    this.#flush()
    const lines = [`${this.#path}.1`, this.#path].flatMap(linesOf).filter(({ atMs }) => atMs >= sinceMs)
    return count <= 0 ? [] : lines.slice(-count)
  }

  /** What {@link read} answers, and then the lines to come, until the signal fires. */
  follow(selection: LogSelection, signal: AbortSignal): AsyncIterable<PluginLogLine> {
    return followed(this.#followers, signal, this.read(selection))
  }

  /** Writes what waits, and lets go of the file. It may be added to again. */
  close(): void {
    this.#flush()
    this.#close()
  }
}

/** Takes the files of a log away. */
export function removeLog(path: string): void {
  for (const file of [path, `${path}.1`]) rmSync(file, { force: true })
}

function linesOf(path: string): PluginLogLine[] {
  return readOrNothing(path)
    .split('\n')
    .flatMap(line => {
      try {
        return [JSON.parse(line) as PluginLogLine]
      } catch {
        // The last one of a crash is cut short.
        return []
      }
    })
}

function readOrNothing(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
