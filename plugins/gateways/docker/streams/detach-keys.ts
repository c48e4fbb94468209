/** The keys that leave a container running: Ctrl-P Ctrl-Q, or what the client chose. */
import { badRequest } from '../http/http-error.ts'

const defaultKeys = 'ctrl-p,ctrl-q'

/** "ctrl-p,ctrl-q", "a", "ctrl-@": bytes. 400 for a word that is no key. */
export function parseDetachKeys(text: string): Buffer {
  const codes = (text || defaultKeys).split(',').map(word => {
    const [, control] = /^ctrl-([a-zA-Z@[\\\]^_])$/.exec(word) ?? []
    if (control !== undefined) return control.toUpperCase().charCodeAt(0) & 0x1f
    if (/^[\x20-\x7e]$/.test(word)) return word.charCodeAt(0)
    throw badRequest(`invalid escape keys (${text}): unknown character '${word}'`)
  })
  return Buffer.from(codes)
}

/** Finds the keys in what is typed, however it is cut; their beginning is held back until the next key tells what it was. */
export class DetachKeys {
  readonly #keys: Buffer
  #held = 0

  constructor(keys: Buffer) {
    this.#keys = keys
  }

  /** `pass` is for the container; nothing after the keys is. */
  feed(bytes: Buffer): { pass: Buffer; detached: boolean } {
    const passed: number[] = []
    for (const byte of bytes) {
      if (byte === this.#keys[this.#held]) {
        this.#held += 1
        if (this.#held === this.#keys.length) return { pass: Buffer.from(passed), detached: true }
        continue
      }
      passed.push(...this.#keys.subarray(0, this.#held))
      this.#held = byte === this.#keys[0] ? 1 : 0
      if (this.#held === 0) passed.push(byte)
    }
    return { pass: Buffer.from(passed), detached: false }
  }
}
