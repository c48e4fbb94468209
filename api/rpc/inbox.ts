/** gRPC messages that came on a stream, until somebody takes them. */
import { FrameReader } from './frames.ts'
import type { Stream } from './http2/stream.ts'

/**
 * One reader. Iterating ends with the peer's side of the stream; a failure told by {@link fail} before that is thrown after the messages that
 * came before it. While messages wait, the peer's window is not widened.
 */
export class Inbox implements AsyncIterator<Buffer, undefined>, AsyncIterable<Buffer, undefined> {
  readonly #stream: () => Stream
  readonly #frames: FrameReader
  #messages: Buffer[] = []
  #held = 0
  #ended = false
  #error: Error | undefined
  #waiting: PromiseWithResolvers<IteratorResult<Buffer, undefined>> | undefined

  constructor(stream: () => Stream, maxMessageBytes: number) {
    this.#stream = stream
    this.#frames = new FrameReader(maxMessageBytes)
  }

  /** Throws as {@link FrameReader.push} does. */
  push(bytes: Buffer): void {
    this.#held += bytes.length
    for (const message of this.#frames.push(bytes)) this.#messages.push(message)
    this.#settle()
    // A message in parts can be larger than the window.
    if (this.#messages.length === 0) this.#credit()
  }

  end(): void {
    this.#ended = true
    this.#settle()
  }

  fail(error: Error): void {
    if (this.#ended) return
    this.#error ??= error
    this.#settle()
  }

  next(): Promise<IteratorResult<Buffer, undefined>> {
    const waiting = Promise.withResolvers<IteratorResult<Buffer, undefined>>()
    this.#waiting = waiting
    this.#settle()
    return waiting.promise
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  #settle(): void {
    const waiting = this.#waiting
    if (waiting === undefined) return
    const message = this.#messages.shift()
    if (message === undefined && this.#error === undefined && !this.#ended) return
    this.#waiting = undefined
    if (message !== undefined) waiting.resolve({ value: message, done: false })
    else if (this.#error !== undefined) waiting.reject(this.#error)
    else waiting.resolve({ value: undefined, done: true })
    if (this.#messages.length === 0) this.#credit()
  }

  #credit(): void {
    const bytes = this.#held
    this.#held = 0
    if (bytes > 0) this.#stream().consumed(bytes)
  }
}
