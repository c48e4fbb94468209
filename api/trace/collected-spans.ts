/** Spans in a list of a bounded length, until somebody takes them along. */
import type { SpanRecord, SpanSink } from './spans.ts'

/** Of one answer or one command; what comes later is dropped. */
const maxSpans = 2000
const maxForeignBytes = 1024 * 1024

export class CollectedSpans implements SpanSink {
  #own: SpanRecord[] = []
  #foreign: Uint8Array[] = []
  #foreignBytes = 0

  add(span: SpanRecord): void {
    if (this.#own.length < maxSpans) this.#own.push(span)
  }

  addForeign(otlp: Uint8Array): void {
    if (this.#foreignBytes + otlp.length > maxForeignBytes) return
    this.#foreignBytes += otlp.length
    this.#foreign.push(otlp)
  }

  /** What there is by now, and is here no more. */
  take(): { own: readonly SpanRecord[]; foreign: readonly Uint8Array[] } {
    const taken = { own: this.#own, foreign: this.#foreign }
    this.#own = []
    this.#foreign = []
    this.#foreignBytes = 0
    return taken
  }
}
