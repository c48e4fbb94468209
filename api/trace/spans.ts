/**
 * Spans: named stretches of time of a request, across processes, as OpenTelemetry means them.
 *
 * Off is the normal state and costs a look at an AsyncLocalStorage that nobody entered. A trace begins where a request
 * comes in with a sampled `traceparent` (or is chosen by sampling); the code below it names its steps:
 *
 *     const mounts = await step('read the accounts', () => readAccountFiles(mounts))
 *
 * Spans go to the {@link SpanSink} of the request: the ring of gantryd, the answer of a plugin's call, a command's own
 * list. Not OpenTelemetry's SDK: loading it costs each process 30 to 75 ms of CPU and a start of ours takes 30 ms
 * (docs/adr). What leaves a process is OTLP (otlp.ts).
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { isPromise } from 'node:util/types'
import { monotonicNs } from './clock.ts'
import { newSpanId, newTraceId, type SpanContext } from './trace-context.ts'

/** OTLP's numbers. */
export const spanKind = { internal: 1, server: 2, client: 3 } as const
export type SpanKind = (typeof spanKind)[keyof typeof spanKind]

/** A span that has ended. */
export interface SpanRecord extends SpanContext {
  /** Span id; empty: the root. */
  readonly parentId: string
  readonly name: string
  readonly kind: SpanKind
  /** Nanoseconds of the monotonic clock. */
  readonly startNs: bigint
  readonly endNs: bigint
  /** Why it failed; absent: it did not. */
  readonly error?: string
}

/** Takes spans of one or more requests. Must not throw. */
export interface SpanSink {
  add(span: SpanRecord): void
  /** Spans of other processes: an OTLP ExportTraceServiceRequest. */
  addForeign(otlp: Uint8Array): void
}

/** The span that code runs in. */
export interface Scope extends SpanContext {
  readonly sink: SpanSink
  readonly request: TracedRequest
}

/** What all spans of one request in this process share. */
interface TracedRequest {
  /** Nanoseconds of the monotonic clock after which nothing is recorded. */
  untilNs: bigint
}

/** What goes on behind an answer belongs to its trace for so long; a process that was started there lives for ever. */
const afterglowNs = 30_000_000_000n
const forever = 2n ** 62n

const current = new AsyncLocalStorage<Scope>()

/** The span that this code runs in; undefined: nothing is recorded. */
export function currentScope(): Scope | undefined {
  const scope = current.getStore()
  return scope === undefined || monotonicNs() > scope.request.untilNs ? undefined : scope
}

/** Runs `work` as a step of the current request, if that is traced. Ends when its promise settles. */
export function step<T>(name: string, work: () => T): T {
  const scope = currentScope()
  return scope === undefined ? work() : inSpan({ parent: scope, name, kind: spanKind.internal }, work)
}

/** A step that ended just now and was only then known to be one. */
export function stepSince(name: string, startNs: bigint, endNs = monotonicNs()): void {
  const scope = currentScope()
  if (scope === undefined) return
  const { traceId, spanId: parentId } = scope
  scope.sink.add({ traceId, spanId: newSpanId(), parentId, name, kind: spanKind.internal, startNs, endNs })
}

export interface SpanOptions {
  readonly parent: Scope
  readonly name: string
  readonly kind: SpanKind
}

/** Runs `work` in a span below `parent`; it is recorded when `work` ends. */
export function inSpan<T>({ parent, name, kind }: SpanOptions, work: (scope: Scope) => T): T {
  const { traceId, sink, request } = parent
  const scope: Scope = { traceId, spanId: newSpanId(), sink, request }
  const end = ender(scope, { parentId: parent.spanId, name, kind, startNs: monotonicNs() })
  try {
    return ended(current.run(scope, work, scope), end)
  } catch (error) {
    end(error)
    throw error
  }
}

export interface RequestOptions {
  /** The caller's span; absent: the trace begins here. */
  readonly parent?: SpanContext | undefined
  readonly name: string
  readonly kind: SpanKind
  readonly sink: SpanSink
  /** Nanoseconds of the monotonic clock, when it began before this is called. */
  readonly startNs?: bigint
}

/** A traced request. {@link endRequest} ends it, once. */
export interface OpenRequest {
  readonly scope: Scope
  run<T>(work: () => T): T
  end(error?: unknown): void
}

/** Begins the first span that a request has in this process. */
export function openRequest({ parent, name, kind, sink, startNs = monotonicNs() }: RequestOptions): OpenRequest {
  const request = { untilNs: forever }
  const scope: Scope = { traceId: parent?.traceId ?? newTraceId(), spanId: newSpanId(), sink, request }
  const finish = ender(scope, { parentId: parent?.spanId ?? '', name, kind, startNs })
  return {
    scope,
    run: work => current.run(scope, work),
    end(error) {
      if (request.untilNs !== forever) return
      request.untilNs = monotonicNs() + afterglowNs
      finish(error)
    },
  }
}

/** Goes on in a span of before, for work that an event brings about later; untraced without one, or long after its end. */
export function resume<T>(scope: Scope | undefined, work: () => T): T {
  if (scope === undefined || monotonicNs() > scope.request.untilNs)
    return current.getStore() === undefined ? work() : current.exit(work)
  const request = { untilNs: monotonicNs() + afterglowNs }
  return current.run({ ...scope, request }, work)
}

type Begun = Pick<SpanRecord, 'parentId' | 'name' | 'kind' | 'startNs'>

function ender({ traceId, spanId, sink }: Scope, begun: Begun): (error?: unknown) => void {
  return error => {
    const failure = error === undefined ? {} : { error: error instanceof Error ? error.message : String(error) }
    sink.add({ traceId, spanId, ...begun, endNs: monotonicNs(), ...failure })
  }
}

function ended<T>(result: T, end: (error?: unknown) => void): T {
  if (!isPromise(result)) {
    end()
    return result
  }
  return result.then(
    value => {
      end()
      return value
    },
    error => {
      end(error)
      throw error
    },
  ) as T
}
