import { invalidArgument, notFound } from '#api/errors/errors.ts'
import type { ResourceSpans, Span } from '#api/gen/opentelemetry/proto/trace/v1/trace.ts'
import { decodeExport, resourceSpans, type ServiceIdentity } from '#api/trace/otlp.ts'
import type { SpanRecord } from '#api/trace/spans.ts'
import type { TraceSummary, Traces } from './traces.ts'

export interface TraceRingOptions {
  readonly service: ServiceIdentity
  /** Spans in all; about 400 bytes each. */
  readonly maxSpans?: number
  readonly maxSpansPerTrace?: number
  /** Gets every span that was taken in. */
  readonly onSpans?: (spans: readonly ResourceSpans[]) => void
}

interface Trace {
  readonly own: SpanRecord[]
  readonly foreign: ResourceSpans[]
  count: number
  dropped: number
}

export class TraceRing implements Traces {
  readonly #options: TraceRingOptions
  readonly #maxSpans: number
  readonly #maxPerTrace: number
  /** In the order in which they began. */
  readonly #traces = new Map<string, Trace>()
  #count = 0

  constructor(options: TraceRingOptions) {
    this.#options = options
    this.#maxSpans = options.maxSpans ?? 20_000
    this.#maxPerTrace = options.maxSpansPerTrace ?? 5_000
  }

  add(span: SpanRecord): void {
    const trace = this.#room(span.traceId, 1)
    if (trace === undefined) return
    trace.own.push(span)
    this.#options.onSpans?.([resourceSpans(this.#options.service, [span])])
  }

  addForeign(otlp: Uint8Array): void {
    try {
      this.takeIn(decodeExport(otlp))
    } catch {
      // A plugin's answer is not worth less because its spans are garbage.
    }
  }

  takeIn(all: readonly ResourceSpans[]): number {
    let refused = 0
    const taken: ResourceSpans[] = []
    for (const part of all) {
      for (const [traceId, spans] of byTrace(part)) {
        const trace = traceId === '' ? undefined : this.#room(traceId, spans.length)
        if (trace === undefined) refused += spans.length
        else taken.push(this.#keep(trace, { ...part, scopeSpans: [{ scope: undefined, schemaUrl: '', spans }] }))
      }
    }
    if (taken.length > 0) this.#options.onSpans?.(taken)
    return refused
  }

  #keep(trace: Trace, spans: ResourceSpans): ResourceSpans {
    trace.foreign.push(spans)
    return spans
  }

  /** The trace, with so many spans more counted; undefined when it has no room for them. */
  #room(traceId: string, spans: number): Trace | undefined {
    const trace = this.#traces.get(traceId) ?? this.#begin(traceId)
    if (trace.count + spans > this.#maxPerTrace) {
      trace.dropped += spans
      return undefined
    }
    trace.count += spans
    this.#count += spans
    this.#evict(traceId)
    return trace
  }

  #begin(traceId: string): Trace {
    const trace = { own: [], foreign: [], count: 0, dropped: 0 }
    this.#traces.set(traceId, trace)
    return trace
  }

  #evict(kept: string): void {
    for (const [traceId, { count }] of this.#traces) {
      if (this.#count <= this.#maxSpans) return
      if (traceId === kept) continue
      this.#traces.delete(traceId)
      this.#count -= count
    }
  }

  get(traceId: string): { resourceSpans: ResourceSpans[]; dropped: number } {
    if (!/^[0-9a-f]{32}$/.test(traceId)) throw invalidArgument(`trace id "${traceId}" is not 32 hexadecimal digits`)
    const trace = this.#traces.get(traceId)
    if (trace === undefined) throw notFound(`trace "${traceId}"`)
    return { resourceSpans: this.#all(trace), dropped: trace.dropped }
  }

  #all({ own, foreign }: Trace): ResourceSpans[] {
    return own.length === 0 ? foreign : [resourceSpans(this.#options.service, own), ...foreign]
  }

  list(): TraceSummary[] {
    return [...this.#traces].map(([traceId, trace]) => summary(traceId, this.#all(trace))).toReversed()
  }
}

/** The spans of one process, by their trace; those without proper ids under the empty string. */
function byTrace({ scopeSpans }: ResourceSpans): Map<string, Span[]> {
  const spans = scopeSpans.flatMap(scope => scope.spans)
  return Map.groupBy(spans, ({ traceId, spanId }) =>
    traceId.length === 16 && spanId.length === 8 ? Buffer.from(traceId).toString('hex') : '',
  )
}

function summary(traceId: string, all: readonly ResourceSpans[]): TraceSummary {
  const spans = all.flatMap(({ scopeSpans }) => scopeSpans.flatMap(scope => scope.spans))
  const first = spans.reduce((a, b) => (b.startTimeUnixNano < a.startTimeUnixNano ? b : a))
  const last = spans.reduce((a, b) => (b.endTimeUnixNano > a.endTimeUnixNano ? b : a))
  const { name, startTimeUnixNano } = first
  const durationNano = last.endTimeUnixNano - startTimeUnixNano
  return { traceId, name, startTimeUnixNano, durationNano, spanCount: spans.length }
}
