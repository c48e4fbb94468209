/** The last lines a plugin has written, and those to come. */
import { followed } from './followed.ts'

export interface PluginLogLine {
  readonly atMs: number
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly text: string
}

/** So many lines are kept for each plugin; a line has at most 32 KiB (plugin-log.ts), mostly a hundred bytes. */
const maxLines = 2_000

export class LogRing {
  readonly #lines: PluginLogLine[] = []
  readonly #followers = new Set<(line: PluginLogLine) => void>()

  add(level: PluginLogLine['level'], text: string): void {
    const line = { atMs: Date.now(), level, text }
    this.#lines.push(line)
    if (this.#lines.length > maxLines) this.#lines.shift()
    for (const follow of this.#followers) follow(line)
  }

  /** The last `count` lines, oldest first. */
  last(count: number): PluginLogLine[] {
    return count <= 0 ? [] : this.#lines.slice(-count)
  }

  /** The last `count` lines and then those to come, until the signal fires. */
  follow(count: number, signal: AbortSignal): AsyncIterable<PluginLogLine> {
    return followed(this.#followers, signal, this.last(count))
  }
}
