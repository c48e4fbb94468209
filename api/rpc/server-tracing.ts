/** Which calls of a server are traced, and where their spans go. */
import type { SpanSink } from '../trace/spans.ts'
import { sampledParent, traceparentHeader, wantSpansHeader } from '../trace/trace-context.ts'

export interface ServerTracing {
  /** Whose spans these are: `snapshotter/overlayfs`. */
  readonly service: string
  /** Absent: spans go back with the answer, to callers that ask for them. */
  readonly sink?: SpanSink
  /** Whether a call without trace context begins a trace; absent: none does. */
  sample?(): boolean
}

/** Cheap: asked for each call. */
export function isTraced(tracing: ServerTracing, header: (name: string) => string | undefined): boolean {
  const traceparent = header(traceparentHeader)
  if (traceparent === undefined) return tracing.sample?.() ?? false
  if (tracing.sink === undefined && header(wantSpansHeader) === undefined) return false
  return sampledParent(traceparent) !== undefined
}
