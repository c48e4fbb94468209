/** One gRPC call over HTTP/2 (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md), client side. */
import { canceled, codeOfStatus, deadlineExceeded, GantryError, messageOf, unavailable } from '../errors/errors.ts'
import type { Channel } from './channel.ts'
import { type CallOptions, defaultMaxMessageBytes, leaseHeader, namespaceHeader } from './definition.ts'
import { frame } from './frames.ts'
import type { Headers } from './http2/header-decoder.ts'
import { encodeHeaders } from './http2/header-encoder.ts'
import type { Stream } from './http2/stream.ts'
import { errorCode } from './http2/wire.ts'
import { Inbox } from './inbox.ts'

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
  /** The first message, once the status is OK; undefined when there was none. Instead of `messages`. */
  only(): Promise<Buffer | undefined>
  /** A message and {@link end} in one go. */
  writeLast(message: Uint8Array): void
}

/** Opens the call `path` (`/package.Service/Method`). Fails in `messages`, never by throwing here. */
export function startCall(channel: Channel, path: string, options: CallOptions): Call {
  return new OpenCall(channel, path, { ...channel.defaults, ...options })
}

class OpenCall implements Call {
  readonly #channel: Channel
  readonly #path: string
  readonly #stream: Stream
  readonly #inbox: Inbox
  readonly #ending = new DisposableStack()
  /** The latest headers: those of a call that failed at once are its trailers too. */
  #trailers: Headers | undefined
  #status: string | undefined

  constructor(channel: Channel, path: string, options: CallOptions) {
    this.#channel = channel
    this.#path = path
    this.#inbox = new Inbox(() => this.#stream, defaultMaxMessageBytes)
    const connection = channel.session()
    connection.ref()
    this.#stream = connection.open(requestBlock(path, options), {
      headers: headers => {
        this.#trailers = headers
        this.#status = headers.get('grpc-status')
      },
      data: bytes => this.#receive(bytes),
      end: () => this.#ended(),
      closed: error => {
        // A connection keeps the process alive while it has calls, no longer.
        if (connection.streamCount === 0) connection.unref()
        if (error !== undefined) this.#inbox.fail(error instanceof GantryError ? error : this.#lost(error))
      },
    })
    this.#armSignal(options.signal)
    this.#armDeadline(options.deadlineMs)
  }

  async write(message: Uint8Array): Promise<void> {
    // A failed write is told by the status, or by `messages` when there is none.
    if (!this.#stream.sendData(frame(message))) await this.#stream.drained()
  }

  /** The only message, and no more. */
  writeLast(message: Uint8Array): void {
    this.#stream.sendData(frame(message), true)
  }

  end(): void {
    this.#stream.sendData(empty, true)
  }

  abort(reason: GantryError): void {
    this.#stream.reset(errorCode.cancel, reason)
  }

  get closed(): boolean {
    return this.#stream.isLocalEnded
  }

  get messages(): AsyncIterable<Buffer> {
    return this.#read()
  }

  async only(): Promise<Buffer | undefined> {
    try {
      const { value } = await this.#inbox.next()
      // The status is yet to come; what else is sent is not for us.
      while (value !== undefined && !(await this.#inbox.next()).done);
      return value
    } finally {
      this.#leave()
    }
  }

  async *#read(): AsyncGenerator<Buffer> {
    try {
      for await (const message of this.#inbox) yield message
    } finally {
      this.#leave()
    }
  }

  #leave(): void {
    this.#ending.dispose()
    this.#stream.reset()
  }

  #receive(bytes: Buffer): void {
    try {
      this.#inbox.push(bytes)
    } catch (error) {
      this.abort(error as GantryError)
    }
  }

  #ended(): void {
    const failure = this.#failure()
    if (failure === undefined) this.#inbox.end()
    else this.#inbox.fail(failure)
  }

  #failure(): GantryError | undefined {
    if (this.#status === '0') return undefined
    if (this.#status === undefined) return this.#statusless()
    const message = decodeURIComponentSafely(this.#trailers?.get('grpc-message') ?? '')
    return new GantryError(codeOfStatus(Number(this.#status)), message)
  }

  #statusless(): GantryError {
    const http = this.#trailers?.get(':status')
    if (http !== undefined && Number(http) !== 200)
      return unavailable(`${this.#path}: ${this.#channel.peer} answered HTTP status ${http}, so it is no gRPC server`)
    // Headers but no trailers: the peer died after it began to answer.
    return this.#lost(new Error('the answer ended without a status'))
  }

  #lost(cause: unknown): GantryError {
    return unavailable(`${this.#path}: no answer from ${this.#channel.peer}: ${messageOf(cause)}`, { cause })
  }

  #armSignal(signal: AbortSignal | undefined): void {
    if (signal === undefined) return
    const abort = () =>
      this.abort(signal.reason instanceof GantryError ? signal.reason : canceled('the call', { cause: signal.reason }))
    if (signal.aborted) abort()
    signal.addEventListener('abort', abort, { once: true })
    this.#ending.defer(() => signal.removeEventListener('abort', abort))
  }

  #armDeadline(ms: number | undefined): void {
    if (ms === undefined) return
    const what = `${this.#path} on ${this.#channel.peer}`
    const timer = setTimeout(() => this.abort(deadlineExceeded(`${what} was not answered within ${ms} ms`)), ms)
    this.#ending.defer(() => clearTimeout(timer))
  }
}

const empty = Buffer.alloc(0)

function requestBlock(path: string, options: CallOptions): Buffer {
  const { deadlineMs, namespace, lease, headers = {} } = options
  return encodeHeaders([
    [':method', 'POST'],
    [':scheme', 'http'],
    [':path', path],
    [':authority', 'localhost'],
    ['te', 'trailers'],
    ['content-type', 'application/grpc'],
    ['user-agent', 'gantry'],
    ...(deadlineMs === undefined ? [] : [['grpc-timeout', `${Math.max(1, Math.ceil(deadlineMs))}m`] as const]),
    ...(namespace === undefined ? [] : [[namespaceHeader, namespace] as const]),
    ...(lease === undefined ? [] : [[leaseHeader, lease] as const]),
    ...Object.entries(headers),
  ])
}

function decodeURIComponentSafely(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
