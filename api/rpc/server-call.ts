/** One gRPC call over HTTP/2 (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md), server side. */
import { deadlineExceeded, GantryError, resourceExhausted } from '../errors/errors.ts'
import { callContext } from './context.ts'
import type { CallContext } from './definition.ts'
import { frame } from './frames.ts'
import type { Headers } from './http2/header-decoder.ts'
import { encodeHeaders, type HeaderList } from './http2/header-encoder.ts'
import type { Stream } from './http2/stream.ts'
import { Inbox } from './inbox.ts'

/** Numbers of grpc/status.md that are said here; errors bring their own. */
export interface Status {
  grpc: number
  message: string
}

/** Headers that carry a status must fit a client's limits; what is longer loses its end. */
const maxStatusBytes = 4096

export class ServerCall {
  readonly context: CallContext
  readonly #stream: Stream
  readonly #inbox: Inbox
  readonly #maxBytes: number
  #gone: AbortController | undefined
  #reason: GantryError | undefined
  #deadline: NodeJS.Timeout | undefined
  #headersSent = false
  #settled = false

  constructor(stream: Stream, headers: Headers, maxMessageBytes: number) {
    this.#stream = stream
    this.#maxBytes = maxMessageBytes
    this.#inbox = new Inbox(() => stream, maxMessageBytes)
    this.context = callContext(
      () => this.#signal,
      name => headers.get(name),
    )
    stream.listener = {
      data: bytes => this.#receive(bytes),
      end: () => this.#inbox.end(),
      closed: error => this.#closed(error),
    }
    this.#armDeadline(headers.get('grpc-timeout'))
  }

  #receive(bytes: Buffer): void {
    // What a client still sends after the answer is thrown away: it ends the stream when it has read the status.
    if (this.#settled) {
      this.#stream.consumed(bytes.length)
      return
    }
    try {
      this.#inbox.push(bytes)
    } catch (error) {
      this.#inbox.fail(error as Error)
    }
  }

  /** The one request message of a unary call or a server stream. INVALID framing and oversize as {@link FrameReader}. */
  async request(): Promise<Buffer> {
    const { value = empty } = await this.#inbox.next()
    return value
  }

  /** Request messages as they come; leaving early leaves the answer's side alone. */
  requests(): AsyncIterable<Buffer> {
    return this.#inbox
  }

  /** Nobody reads what is written any more. */
  get isGone(): boolean {
    return this.#stream.isLocalEnded
  }

  /** Sends a message; resolves when the client can take more, or has gone. */
  async write(message: Uint8Array): Promise<void> {
    if (this.isGone) return
    const framed = this.#framed(message)
    this.#respond()
    if (!this.#stream.sendData(framed)) await this.#stream.drained()
  }

  /** The answer of a unary call: message and status in one go. */
  finish(message: Uint8Array): void {
    if (this.isGone) return
    const framed = this.#framed(message)
    this.#respond()
    this.#stream.sendData(framed)
    this.#settle()
    this.#stream.sendHeaders(okTrailers, true)
  }

  /** The end, after whatever was written. */
  end(status: Status): void {
    this.#settle()
    if (this.isGone) return
    const trailers = trailersOf(status)
    const block = encodeHeaders(this.#headersSent ? trailers : [...responseHeaders, ...trailers])
    this.#stream.sendHeaders(block, true)
  }

  #respond(): void {
    if (this.#headersSent) return
    this.#headersSent = true
    this.#stream.sendHeaders(responseBlock, false)
  }

  #framed(message: Uint8Array): Buffer {
    if (message.length > this.#maxBytes)
      throw resourceExhausted(`the answer of ${message.length} bytes is over the limit of ${this.#maxBytes}`)
    return frame(message)
  }

  /** Made when somebody asks: most calls end before anybody would. */
  get #signal(): AbortSignal {
    this.#gone ??= new AbortController()
    if (this.#reason !== undefined) this.#gone.abort(this.#reason)
    return this.#gone.signal
  }

  #settle(): void {
    this.#settled = true
    clearTimeout(this.#deadline)
    this.#stream.consumed()
  }

  #closed(error: Error | undefined): void {
    if (!this.#settled) {
      this.#abort(withdrawn(error))
      this.#inbox.fail(this.#reason as Error)
    }
    this.#settle()
  }

  #abort(reason: GantryError): void {
    this.#reason ??= reason
    this.#gone?.abort(this.#reason)
  }

  #armDeadline(header: string | undefined): void {
    const ms = header === undefined ? undefined : timeoutMs(header)
    if (ms === undefined) return
    this.#deadline = setTimeout(() => {
      const reason = deadlineExceeded('Deadline exceeded', { bare: true })
      this.#abort(reason)
      this.#inbox.fail(reason)
      this.end({ grpc: 4, message: reason.message })
    }, ms)
    this.#deadline.unref()
  }
}

const empty = Buffer.alloc(0)

const responseHeaders: HeaderList = [
  [':status', '200'],
  ['content-type', 'application/grpc'],
]
const responseBlock = encodeHeaders(responseHeaders)
const okTrailers = encodeHeaders([['grpc-status', '0']])

const withdrawn = (cause?: unknown) => new GantryError('CANCELED', 'the client withdrew the call', { cause })

function trailersOf({ grpc, message }: Status): HeaderList {
  const status = ['grpc-status', String(grpc)] as const
  return message === '' ? [status] : [status, ['grpc-message', percentEncoded(message)]]
}

/** "Percent-Encoded" of the protocol: printable ASCII but `%` stays. */
function percentEncoded(text: string): string {
  const encoded = text.replace(/[^ -$&-~]+/gu, part =>
    Array.from(Buffer.from(part), byte => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  )
  return encoded.slice(0, maxStatusBytes).replace(/%.?$/, '')
}

const unitMs: Record<string, number> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 0.001, n: 0.000_001 }
/** What a timer can hold. */
const maxTimeoutMs = 2 ** 31 - 1

/** `grpc-timeout`: at most 8 digits and a unit; undefined when there is none to keep. */
function timeoutMs(header: string): number | undefined {
  const [, digits, unit = ''] = /^(\d{1,8})([HMSmun])$/.exec(header) ?? []
  const ms = Number(digits) * (unitMs[unit] ?? Number.NaN)
  return ms <= maxTimeoutMs ? Math.ceil(ms) : undefined
}
