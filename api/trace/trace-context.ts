/**
 * Where a call belongs in a trace, as it travels: W3C Trace Context (https://www.w3.org/TR/trace-context/), in the
 * headers of HTTP and gRPC and in the metadata of ttrpc.
 */
export const traceparentHeader = 'traceparent'

/** The caller takes the callee's spans with the answer (our own; see {@link spansTrailer}). */
export const wantSpansHeader = 'gantry-want-spans'
/** In an answer's metadata: base64 of an OTLP ExportTraceServiceRequest. */
export const spansTrailer = 'gantry-spans-bin'

/** A span that others can be below. */
export interface SpanContext {
  /** 32 lower-case hexadecimal digits. */
  readonly traceId: string
  /** 16 of them. */
  readonly spanId: string
}

const form = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/
const sampledFlag = 1

/** The caller's span when it is recorded; undefined also for what is malformed, which a receiver shall ignore. */
export function sampledParent(traceparent: string | undefined): SpanContext | undefined {
  if (traceparent === undefined) return undefined
  const [, version = 'ff', traceId = '', spanId = '', flags = '', more] = form.exec(traceparent) ?? []
  const isMalformed = version === 'ff' || (version === '00' && more !== undefined) || /^0+$/.test(traceId)
  if (isMalformed || /^0+$/.test(spanId) || (Number.parseInt(flags, 16) & sampledFlag) === 0) return undefined
  return { traceId, spanId }
}

/** The header's value for calls below `span`. */
export function traceparentOf({ traceId, spanId }: SpanContext): string {
  return `00-${traceId}-${spanId}-01`
}

export function newTraceId(): string {
  return randomHex(16)
}

export function newSpanId(): string {
  return randomHex(8)
}

/** By the global, which Node makes when it is first used: a command that traces nothing does not load node:crypto. */
function randomHex(bytes: number): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(bytes))).toString('hex')
}
