/** A span around each call that a traced request makes, and the context that the callee goes on with. */
import { inSpan, type Scope, spanKind } from '../trace/spans.ts'
import { spansTrailer, traceparentHeader, traceparentOf, wantSpansHeader } from '../trace/trace-context.ts'
import type { CallOptions } from './definition.ts'

/** What a call is made with, beside what its caller says. */
export interface TracedOptions extends CallOptions {
  /** Gets the metadata that comes before the answer, and that after it. */
  onMetadata?: (metadata: Readonly<Record<string, unknown>>) => void
}

/** A call with one answer. */
export function tracedCall<T>(
  parent: Scope,
  path: string,
  options: CallOptions,
  perform: (options: TracedOptions) => Promise<T>,
): Promise<T> {
  return inSpan({ parent, name: nameOf(path), kind: spanKind.client }, scope => perform(inScope(scope, options)))
}

/** A call whose answers come one by one; it lasts until the last was taken. */
export async function* tracedStream<T>(
  parent: Scope,
  path: string,
  options: CallOptions,
  perform: (options: TracedOptions) => AsyncIterable<T>,
): AsyncGenerator<T> {
  const { promise, resolve } = Promise.withResolvers<void>()
  let messages: AsyncIterable<T> | undefined
  const span = inSpan({ parent, name: nameOf(path), kind: spanKind.client }, scope => {
    messages = perform(inScope(scope, options))
    return promise
  })
  try {
    if (messages !== undefined) yield* messages
  } finally {
    resolve()
    await span
  }
}

function inScope(scope: Scope, options: CallOptions): TracedOptions {
  const headers = { ...options.headers, [traceparentHeader]: traceparentOf(scope), [wantSpansHeader]: '1' }
  return { ...options, headers, onMetadata: metadata => takeSpans(scope, metadata[spansTrailer]) }
}

function takeSpans({ sink }: Scope, value: unknown): void {
  if (typeof value === 'string') sink.addForeign(Buffer.from(value, 'base64'))
}

/** OpenTelemetry's name of a remote call: service and method, without the slash in front. */
function nameOf(path: string): string {
  return path.replace(/^\//, '')
}
