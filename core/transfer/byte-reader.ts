import { inPieces } from './pieces.ts'

/** Takes bytes from a source by count, in order. One call at a time. Fails with the signal's reason when that fires. */
export class ByteReader {
  readonly #iterator: AsyncIterator<Uint8Array>
  readonly #signal: AbortSignal
  /** What was received and not yet taken: valid until more is asked for, as the source's chunks are. */
  #rest: Uint8Array = new Uint8Array()
  #giveUp: (reason: unknown) => void = () => {}
  readonly #onAbort = () => this.#giveUp(this.#signal.reason)

  constructor(source: AsyncIterable<Uint8Array>, signal: AbortSignal) {
    this.#iterator = source[Symbol.asyncIterator]()
    this.#signal = signal
    signal.addEventListener('abort', this.#onAbort, { once: true })
  }

  /** At most `limit` bytes, valid until the next call; undefined at the end. */
  async some(limit: number): Promise<Uint8Array | undefined> {
    while (this.#rest.length === 0) {
      const next = await this.#next()
      if (next.done) return undefined
      this.#rest = next.value
    }
    const taken = this.#rest.subarray(0, limit)
    this.#rest = this.#rest.subarray(taken.length)
    return taken
  }

  /** `count` bytes of the caller's own; fewer only at the end. */
  async exactly(count: number): Promise<Buffer> {
    const whole = Buffer.alloc(count)
    let filled = 0
    while (filled < count) {
      const part = await this.some(count - filled)
      if (part === undefined) return whole.subarray(0, filled)
      whole.set(part, filled)
      filled += part.length
    }
    return whole
  }

  /** The next `count` bytes, or what there is of them, to be read again. */
  async peek(count: number): Promise<Buffer> {
    const first = await this.exactly(count)
    this.#rest = Buffer.concat([first, this.#rest])
    return first
  }

  /** The next `count` bytes in long pieces, each valid until the next. Throws when the source ends before. */
  pieces(count: number): AsyncGenerator<Uint8Array, undefined> {
    return inPieces(this.#counted(count), count)
  }

  /** All that is left, chunk by chunk. */
  async *all(): AsyncGenerator<Uint8Array, undefined> {
    for (let part = await this.some(Infinity); part !== undefined; part = await this.some(Infinity)) yield part
  }

  async *#counted(count: number): AsyncGenerator<Uint8Array, undefined> {
    for (let left = count; left > 0; ) {
      const part = await this.some(left)
      if (part === undefined) throw new Error(`Unexpected end of data: ${left} bytes of a file are missing`)
      left -= part.length
      yield part
    }
  }

  /** Not a race with one promise for all: that would keep every chunk until the end. */
  async #next(): Promise<IteratorResult<Uint8Array>> {
    this.#signal.throwIfAborted()
    const { promise, resolve, reject } = Promise.withResolvers<IteratorResult<Uint8Array>>()
    this.#giveUp = reject
    this.#iterator.next().then(resolve, reject)
    return await promise
  }

  /** Lets go of the source, without waiting for it. */
  [Symbol.dispose](): void {
    this.#signal.removeEventListener('abort', this.#onAbort)
    this.#iterator.return?.().catch(() => {})
  }
}
