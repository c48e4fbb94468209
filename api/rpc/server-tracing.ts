/** Which calls of a server are traced, and where their spans go. */
import { monotonicNs } from '../trace/clock.ts'
import { type SpanSink, stepSince } from '../trace/spans.ts'
import { sampledParent, traceparentHeader, wantSpansHeader } from '../trace/trace-context.ts'
import type { TracedCall } from './traced-server-call.ts'

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

let loaded: typeof import('./traced-server-call.ts') | undefined

/** Begins the span of a call that {@link isTraced}. */
export async function openTracedCall(
  tracing: ServerTracing,
  header: (name: string) => string | undefined,
  rpc: string,
): Promise<TracedCall> {
  const startNs = monotonicNs()
  if (loaded !== undefined) return loaded.traceCall(tracing, header, rpc, startNs)
  loaded = await import('./traced-server-call.ts')
  const call = loaded.traceCall(tracing, header, rpc, startNs)
  call.run(() => stepSince('load the tracer', startNs))
  return call
}
