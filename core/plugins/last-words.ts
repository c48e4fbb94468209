/** The last lines of a process, for whoever asks why it ended. */
import { setTimeout as sleep } from 'node:timers/promises'

const maxLines = 10
const maxChars = 500
/** What is in the pipes is read by then, unless a descendant keeps them open. */
const readMs = 200

export class LastWords {
  readonly #lines: string[] = []
  readonly #read: Promise<unknown>
  #complaint = ''

  /** `read` resolves when both streams have ended. */
  constructor(read: (stdout: (line: string) => void, stderr: (line: string) => void) => Promise<unknown>) {
    this.#read = read(
      line => this.#add(line),
      line => {
        this.#add(line)
        this.#complaint = line.slice(0, maxChars)
      },
    )
  }

  #add(line: string): void {
    this.#lines.push(line.slice(0, maxChars))
    if (this.#lines.length > maxLines) this.#lines.shift()
  }

  /** Of both streams, oldest first. Asked once it is gone. */
  async lines(): Promise<readonly string[]> {
    await this.#ended()
    return this.#lines
  }

  /** The last line on stderr, in parentheses after a space; empty for none. Asked once it is gone. */
  async complaint(): Promise<string> {
    await this.#ended()
    return this.#complaint === '' ? '' : ` (${this.#complaint})`
  }

  async #ended(): Promise<void> {
    await Promise.race([this.#read, sleep(readMs, undefined, { ref: false })])
  }
}
