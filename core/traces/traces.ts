/**
 * What gantryd remembers of traced requests: a bounded memory of spans, by trace.
 *
 * A span comes in from code of ours that ends a step, as OTLP from other processes: plugins and shims give theirs with
 * their answers, clients and gateways export them. Nothing here decides what is traced: a caller does, with a sampled
 * `traceparent`, or the configuration's share of calls. When the memory is full the trace that began first goes; a
 * trace over its own limit loses its latest spans, and says how many.
 */
import type { ResourceSpans } from '#api/gen/opentelemetry/proto/trace/v1/trace.ts'
import type { SpanSink } from '#api/trace/spans.ts'

export interface Traces extends SpanSink {
  /** As they came from a collector's client. How many were refused: without ids, or over a limit. */
  takeIn(spans: readonly ResourceSpans[]): number
  /** All spans of a trace. NOT_FOUND; INVALID_ARGUMENT when the id is not 32 hexadecimal digits. */
  get(traceId: string): { resourceSpans: ResourceSpans[]; dropped: number }
  /** The latest first. */
  list(): TraceSummary[]
}

export interface TraceSummary {
  readonly traceId: string
  /** Of the span that began first. */
  readonly name: string
  readonly startTimeUnixNano: bigint
  readonly durationNano: bigint
  readonly spanCount: number
}

export { tracesCollector, tracesService } from './service.ts'
export { SpanExporter } from './span-exporter.ts'
export { TraceRing } from './trace-ring.ts'
