/** Ctrl-P Ctrl-Q leaves the container running, as in Docker. */
const first = 16
const second = 17

/** Finds the keys in what is typed, in one read or in two. A Ctrl-P is held back until the next key tells what it was. */
export class DetachKeys {
  #holds = false

  /** `pass` is for the container; nothing after the keys is. */
  feed(bytes: Buffer): { pass: Buffer; detached: boolean } {
    const whole = this.#holds ? Buffer.concat([Buffer.from([first]), bytes]) : bytes
    const at = whole.indexOf(Buffer.from([first, second]))
    if (at >= 0) return { pass: whole.subarray(0, at), detached: true }
    this.#holds = whole.at(-1) === first
    return { pass: this.#holds ? whole.subarray(0, -1) : whole, detached: false }
  }
}
