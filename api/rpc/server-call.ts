/** One gRPC call over HTTP/2 (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md), server side. */
import type { IncomingHttpHeaders, ServerHttp2Stream, ServerStreamResponseOptions } from 'node:http2'
import { deadlineExceeded, GantryError, resourceExhausted } from '../errors/errors.ts'
import { callContext } from './context.ts'
import type { CallContext } from './definition.ts'
import { FrameReader, frame } from './frames.ts'

/** Numbers of grpc/status.md that are said here; errors bring their own. */
export interface Status {
  grpc: number
  message: string
}

/** Headers that carry a status must fit a client's limits; what is longer loses its end. */
const maxStatusBytes = 4096

export class ServerCall {
  readonly context: CallContext
  /** Asked when the status goes out: what trailers there are beside it. */
  onStatus: ((status: Status) => Record<string, string>) | undefined
  readonly #stream: ServerHttp2Stream
  readonly #maxBytes: number
  #gone: AbortController | undefined
  #reason: GantryError | undefined
  #deadline: NodeJS.Timeout | undefined

  constructor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, rawHeaders: readonly string[], max: number) {
    this.#stream = stream
    this.#maxBytes = max
    this.context = callContext(
      () => this.#signal,
      name => firstValue(headers, rawHeaders, name),
    )
    // What breaks is told by `close`; without a listener it would end the process.
    stream.on('error', () => {})
    stream.on('close', () => this.#closed())
    this.#armDeadline(headers['grpc-timeout'])
  }

  /** The one request message of a unary call or a server stream. INVALID framing and oversize as {@link FrameReader}. */
  async request(): Promise<Buffer> {
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
    const reader = new FrameReader(this.#maxBytes)
    let message: Buffer | undefined
    this.#stream.on('data', (chunk: Buffer) => {
      try {
        message ??= reader.push(chunk)[0]
      } catch (error) {
        reject(error)
      }
    })
    this.#stream.on('end', () => resolve(message ?? Buffer.alloc(0)))
    this.#stream.on('close', () => {
      // An error costs its stack, and nearly every call closes with its request read.
      if (!this.#stream.readableEnded) reject(this.#reason ?? withdrawn())
    })
    return promise
  }

  /** Request messages as they come; leaving early leaves the answer's side alone. */
  async *requests(): AsyncGenerator<Buffer> {
    const reader = new FrameReader(this.#maxBytes)
    const chunks: AsyncIterable<Buffer> = this.#stream.iterator({ destroyOnReturn: false })
    try {
      for await (const chunk of chunks) yield* reader.push(chunk)
    } catch (cause) {
      throw cause instanceof GantryError ? cause : (this.#reason ?? withdrawn(cause))
    }
  }

  /** Nobody reads what is written any more. */
  get isGone(): boolean {
    return this.#stream.destroyed || this.#stream.closed
  }

  /** Sends a message; resolves when the client can take more, or has gone. */
  async write(message: Uint8Array): Promise<void> {
    if (this.isGone) return
    this.#respond()
    if (!this.#stream.write(this.#framed(message))) await this.#drained()
  }

  /** The answer of a unary call: message and status in one go. */
  finish(message: Uint8Array): void {
    if (this.isGone) return
    const framed = this.#framed(message)
    this.#respond()
    this.#stream.end(framed)
    this.#settle()
  }

  /** The end, after whatever was written. */
  end(status: Status): void {
    this.#settle()
    if (this.isGone) return
    if (this.#stream.headersSent) {
      this.#status = status
      this.#stream.end()
    } else {
      this.#stream.respond({ ...responseHeaders, ...this.#trailersOf(status) }, { ...dateless, endStream: true })
      this.#leaveRequest()
    }
  }

  #status: Status = { grpc: 0, message: '' }

  #trailersOf(status: Status): Record<string, string> {
    const trailers = trailersOf(status)
    return this.onStatus === undefined ? trailers : { ...this.onStatus(status), ...trailers }
  }

  #respond(): void {
    if (this.#stream.headersSent) return
    this.#stream.respond(responseHeaders, { ...dateless, waitForTrailers: true })
    this.#stream.on('wantTrailers', () => {
      this.#stream.sendTrailers(this.#trailersOf(this.#status))
      this.#leaveRequest()
    })
  }

  /**
   * What a client still sends is thrown away: it ends the stream when it has read the status. A reset, which HTTP/2 allows
   * here (RFC 9113, 8.1), would make Node's client lose what it has not read yet.
   */
  #leaveRequest(): void {
    if (!this.#stream.readableEnded && !this.#stream.destroyed) this.#stream.resume()
  }

  #framed(message: Uint8Array): Buffer {
    if (message.length > this.#maxBytes)
      throw resourceExhausted(`the answer of ${message.length} bytes is over the limit of ${this.#maxBytes}`)
    return frame(message)
  }

  #drained(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const done = () => {
      this.#stream.off('drain', done)
      this.#stream.off('close', done)
      resolve()
    }
    this.#stream.on('drain', done)
    this.#stream.on('close', done)
    return promise
  }

  /** Made when somebody asks: most calls end before anybody would. */
  get #signal(): AbortSignal {
    this.#gone ??= new AbortController()
    if (this.#reason !== undefined) this.#gone.abort(this.#reason)
    return this.#gone.signal
  }

  #settled = false

  #settle(): void {
    this.#settled = true
    clearTimeout(this.#deadline)
  }

  #closed(): void {
    if (!this.#settled) this.#abort(withdrawn())
    this.#settle()
  }

  #abort(reason: GantryError): void {
    this.#reason ??= reason
    this.#gone?.abort(this.#reason)
  }

  #armDeadline(header: string | string[] | undefined): void {
    const ms = timeoutMs(header)
    if (ms === undefined) return
    this.#deadline = setTimeout(() => {
      const reason = deadlineExceeded('Deadline exceeded', { bare: true })
      this.#abort(reason)
      this.end({ grpc: 4, message: reason.message })
    }, ms)
    this.#deadline.unref()
  }
}

/** gRPC knows no `date`. Node's types do not know the option (it is in its http2 core, as in HTTP/1's `sendDate`). */
const dateless: ServerStreamResponseOptions & { sendDate: false } = { sendDate: false }

const responseHeaders = { ':status': 200, 'content-type': 'application/grpc' }

const withdrawn = (cause?: unknown) => new GantryError('CANCELED', 'the client withdrew the call', { cause })

function trailersOf({ grpc, message }: Status): Record<string, string> {
  return { 'grpc-status': String(grpc), ...(message !== '' && { 'grpc-message': percentEncoded(message) }) }
}

/** "Percent-Encoded" of the protocol: printable ASCII but `%` stays. */
function percentEncoded(text: string): string {
  const encoded = text.replace(/[^ -$&-~]+/gu, part =>
    Array.from(Buffer.from(part), byte => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  )
  return encoded.slice(0, maxStatusBytes).replace(/%.?$/, '')
}

/** Node joins values of one name; containerd's rule is that the first counts. */
function firstValue(headers: IncomingHttpHeaders, raw: readonly string[], name: string): string | undefined {
  const value = headers[name]
  if (value === undefined || (typeof value === 'string' && !value.includes(','))) return value as string | undefined
  const at = raw.findIndex((text, index) => index % 2 === 0 && text === name)
  return raw[at + 1]
}

const unitMs: Record<string, number> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 0.001, n: 0.000_001 }
/** What a timer can hold. */
const maxTimeoutMs = 2 ** 31 - 1

/** `grpc-timeout`: at most 8 digits and a unit; undefined when there is none to keep. */
function timeoutMs(header: string | string[] | undefined): number | undefined {
  const [, digits, unit = ''] = /^(\d{1,8})([HMSmun])$/.exec(String(header ?? '')) ?? []
  const ms = Number(digits) * (unitMs[unit] ?? Number.NaN)
  return ms <= maxTimeoutMs ? Math.ceil(ms) : undefined
}
