import { resourceExhausted } from '#api/errors/errors.ts'
import type { Filter } from '#api/filters/filters.ts'
import { envelopeFields } from './event-fields.ts'
import type { Envelope } from './events.ts'

/** Events a subscriber may be behind: some 30 MB, far beyond what a living client needs. */
const maxQueued = 100_000

/** One subscriber's queue: pushed to by the exchange, drained by one consumer. */
export class Subscription implements AsyncIterable<Envelope> {
  readonly #matches: Filter | undefined
  readonly #onEnd: (subscription: Subscription) => void
  readonly #signal: AbortSignal | undefined
  readonly #end = () => this.#close()
  #queue: Envelope[] = []
  #wake: (() => void) | undefined
  #overrun = false
  #closed = false

  constructor(matches: Filter | undefined, signal: AbortSignal | undefined, onEnd: (s: Subscription) => void) {
    this.#matches = matches
    this.#signal = signal
    this.#onEnd = onEnd
    if (signal?.aborted === true) this.#closed = true
    else signal?.addEventListener('abort', this.#end, { once: true })
  }

  get closed(): boolean {
    return this.#closed
  }

  push(envelope: Envelope): void {
    if (this.#closed || this.#matches?.(envelopeFields(envelope)) === false) return
    if (this.#queue.length >= maxQueued) {
      this.#overrun = true
      this.#close()
      return
    }
    this.#queue.push(envelope)
    this.#wake?.()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Envelope, void, undefined> {
    try {
      while (!this.#closed) {
        const batch = this.#queue
        this.#queue = []
        yield* batch
        if (this.#queue.length === 0 && !this.#closed) await this.#pushed()
      }
      if (this.#overrun) throw resourceExhausted(`the subscriber is more than ${maxQueued} events behind`)
    } finally {
      this.#close()
    }
  }

  #pushed(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#wake = resolve
    return promise
  }

  #close(): void {
    this.#closed = true
    this.#signal?.removeEventListener('abort', this.#end)
    this.#onEnd(this)
    this.#wake?.()
  }
}
