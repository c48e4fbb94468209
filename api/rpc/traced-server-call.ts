/** Spans of the calls that a server answers. Loaded with the first call that is traced. */

import { monotonicNs } from '../trace/clock.ts'
import { CollectedSpans } from '../trace/collected-spans.ts'
import { exportRequest } from '../trace/otlp.ts'
import { type OpenRequest, openRequest, spanKind, stepSince } from '../trace/spans.ts'
import { sampledParent, spansTrailer, traceparentHeader } from '../trace/trace-context.ts'
import type { Status } from './server-call.ts'
import type { ServerTracing } from './server-tracing.ts'

export interface TracedCall {
  run<T>(work: () => T): T
  /** The handler is done; what is left is to send its answer. */
  answered(): void
  /** Ends the span; what the answer's trailers say beside the status. */
  end(status: Status): Record<string, string>
}

/** Node's default limit on a block of headers is 64 KiB; base64 takes a third more. */
const maxTrailerBytes = 32 * 1024

/** `startNs`: when the call came in. */
export function traceCall(
  tracing: ServerTracing,
  header: (name: string) => string | undefined,
  rpc: string,
  startNs: bigint,
): TracedCall {
  const parent = sampledParent(header(traceparentHeader))
  const collected = tracing.sink === undefined ? new CollectedSpans() : undefined
  const sink = tracing.sink ?? (collected as CollectedSpans)
  const request: OpenRequest = openRequest({ parent, name: rpc, kind: spanKind.server, sink, startNs })
  let answeredNs: bigint | undefined
  return {
    run: work => request.run(work),
    answered() {
      answeredNs = monotonicNs()
    },
    end(status) {
      const since = answeredNs
      if (since !== undefined) request.run(() => stepSince('send the answer', since))
      request.end(status.grpc === 0 ? undefined : status.message)
      return collected === undefined ? {} : trailerOf(collected, tracing.service)
    },
  }
}

/** Nothing rather than an answer that its reader refuses. */
function trailerOf(collected: CollectedSpans, name: string): Record<string, string> {
  const { own, foreign } = collected.take()
  if (own.length === 0) return {}
  const bytes = Buffer.concat([exportRequest({ name, pid: process.pid }, own), ...foreign])
  return bytes.length > maxTrailerBytes ? {} : { [spansTrailer]: bytes.toString('base64') }
}
