/** One gRPC call over HTTP/2 (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md), client side. */
import { type ClientHttp2Stream, constants, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http2'
import { canceled, codeOfStatus, deadlineExceeded, GantryError, messageOf, unavailable } from '../errors/errors.ts'
import type { Channel } from './channel.ts'
import { type CallOptions, defaultMaxMessageBytes, leaseHeader, namespaceHeader } from './definition.ts'
import { FrameReader, frame } from './frames.ts'
import type { TracedOptions } from './traced-client-call.ts'

/**
 * A call under way: write request messages, read answer messages.
 * `messages` ends when the status is OK and throws the status as a {@link GantryError} otherwise.
 * Leaving the loop early cancels the call.
 */
export interface Call {
  /** Resolves when the peer can take more. */
  write(message: Uint8Array): Promise<void>
  /** No more request messages. */
  end(): void
  /** Gives up; `messages` fails with the reason. */
  abort(reason: GantryError): void
  /** True when nobody reads what is written any more. */
  readonly closed: boolean
  readonly messages: AsyncIterable<Buffer>
}

/** Opens the call `path` (`/package.Service/Method`). Fails in `messages`, never by throwing here. */
export function startCall(channel: Channel, path: string, options: TracedOptions): Call {
  const merged = { ...channel.defaults, ...options }
  const stream = openStream(channel, path, merged)
  return {
    write: message => write(stream, message),
    end: () => stream.end(),
    abort: reason => stream.destroy(reason),
    get closed() {
      return stream.destroyed || stream.closed
    },
    messages: read(stream, channel, path, merged),
  }
}

function openStream(channel: Channel, path: string, options: CallOptions): ClientHttp2Stream {
  const session = channel.session()
  session.ref()
  const stream = session.request(requestHeaders(path, options), { endStream: false })
  stream.on('close', () => unrefWhenIdle(session))
  // Errors are read from the stream by `read`; this listener covers the time before it runs.
  stream.on('error', () => {})
  activeStreams.set(session, (activeStreams.get(session) ?? 0) + 1)
  return stream
}

const activeStreams = new WeakMap<object, number>()

/** A connection keeps the process alive while it has calls, no longer. */
function unrefWhenIdle(session: { unref(): void; destroyed: boolean }): void {
  const left = (activeStreams.get(session) ?? 1) - 1
  activeStreams.set(session, left)
  if (left === 0 && !session.destroyed) session.unref()
}

function requestHeaders(path: string, options: CallOptions): OutgoingHttpHeaders {
  return {
    ':method': 'POST',
    ':path': path,
    te: 'trailers',
    'content-type': 'application/grpc',
    'user-agent': 'gantry',
    ...(options.deadlineMs === undefined ? {} : { 'grpc-timeout': `${Math.max(1, Math.ceil(options.deadlineMs))}m` }),
    ...(options.namespace === undefined ? {} : { [namespaceHeader]: options.namespace }),
    ...(options.lease === undefined ? {} : { [leaseHeader]: options.lease }),
    ...options.headers,
  }
}

function write(stream: ClientHttp2Stream, message: Uint8Array): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  // A failed write is told by the status, or by `read` when there is none.
  if (stream.destroyed || stream.writableEnded) resolve()
  else stream.write(frame(message), () => resolve())
  return promise
}

async function* read(
  stream: ClientHttp2Stream,
  channel: Channel,
  path: string,
  options: TracedOptions,
): AsyncGenerator<Buffer> {
  using ending = new DisposableStack()
  const stop = (reason: GantryError) => stream.destroy(reason)
  ending.defer(() => cancelUnlessDone(stream))
  armSignal(options.signal, stop, ending)
  armDeadline(options.deadlineMs, `${path} on ${channel.peer}`, stop, ending)
  const status = statusOf(stream)
  if (options.onMetadata !== undefined) tellMetadata(stream, options.onMetadata)
  const reader = new FrameReader(defaultMaxMessageBytes)
  try {
    for await (const chunk of stream) yield* reader.push(chunk)
  } catch (cause) {
    throw cause instanceof GantryError ? cause : lost(channel, path, cause)
  }
  const failure = toError(await status, channel, path)
  if (failure !== undefined) throw failure
}

function armSignal(
  signal: AbortSignal | undefined,
  stop: (reason: GantryError) => void,
  ending: DisposableStack,
): void {
  if (signal === undefined) return
  const abort = () =>
    stop(signal.reason instanceof GantryError ? signal.reason : canceled('the call', { cause: signal.reason }))
  if (signal.aborted) abort()
  signal.addEventListener('abort', abort, { once: true })
  ending.defer(() => signal.removeEventListener('abort', abort))
}

function armDeadline(
  ms: number | undefined,
  what: string,
  stop: (reason: GantryError) => void,
  ending: DisposableStack,
): void {
  if (ms === undefined) return
  const timer = setTimeout(() => stop(deadlineExceeded(`${what} was not answered within ${ms} ms`)), ms)
  ending.defer(() => clearTimeout(timer))
}

function cancelUnlessDone(stream: ClientHttp2Stream): void {
  if (!stream.closed) stream.close(constants.NGHTTP2_CANCEL)
}

/** Before the answer and after it: a server may send metadata with either. */
function tellMetadata(stream: ClientHttp2Stream, tell: (metadata: IncomingHttpHeaders) => void): void {
  stream.once('response', tell)
  stream.once('trailers', tell)
}

/** The trailers; for a call that failed at once they are the headers. */
function statusOf(stream: ClientHttp2Stream): Promise<IncomingHttpHeaders> {
  const { promise, resolve } = Promise.withResolvers<IncomingHttpHeaders>()
  let head: IncomingHttpHeaders = {}
  stream.once('response', headers => {
    head = headers
  })
  stream.once('trailers', resolve)
  stream.once('close', () => resolve(head))
  return promise
}

function toError(trailers: IncomingHttpHeaders, channel: Channel, path: string): GantryError | undefined {
  const status = trailers['grpc-status']
  if (status === '0') return undefined
  if (status === undefined) return statusless(trailers, channel, path)
  const message = decodeURIComponentSafely(String(trailers['grpc-message'] ?? ''))
  return new GantryError(codeOfStatus(Number(status)), message)
}

function statusless(headers: IncomingHttpHeaders, channel: Channel, path: string): GantryError {
  const http = headers[':status']
  if (http === undefined) return lost(channel, path, new Error('the connection closed before an answer'))
  if (Number(http) !== 200)
    return unavailable(`${path}: ${channel.peer} answered HTTP status ${http}, so it is no gRPC server`)
  // Headers but no trailers: the peer died after it began to answer.
  return lost(channel, path, new Error('the connection closed in the middle of the answer'))
}

function lost(channel: Channel, path: string, cause: unknown): GantryError {
  return unavailable(`${path}: no answer from ${channel.peer}: ${messageOf(cause)}`, { cause })
}

function decodeURIComponentSafely(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
