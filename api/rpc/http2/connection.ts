/**
 * One HTTP/2 connection (RFC 9113) over a socket, either end of it, with what gRPC needs: streams, flow control both ways,
 * pings, an orderly end. Not node:http2: its stream objects cost more than the calls they carry (docs/adr/0014).
 */
import type { Socket } from 'node:net'
import { HeaderDecoder, type Headers } from './header-decoder.ts'
import { Output } from './output.ts'
import { Stream, type StreamCarrier, type StreamListener, StreamReset } from './stream.ts'
import {
  ConnectionError,
  defaultWindowBytes,
  encodeFrame,
  encodeGoaway,
  encodeSettings,
  errorCode,
  type Frame,
  FrameParser,
  flag,
  frameType,
  maxWindowBytes,
  preface,
  setting,
} from './wire.ts'

export interface ConnectionOptions {
  role: 'client' | 'server'
  /** A server's: a stream was opened. Set its listener before returning. */
  onStream?: (stream: Stream, headers: Headers) => void
}

/** Bytes a peer may send ahead of us, per stream and in all: layers come this way. */
const streamWindowBytes = 1024 * 1024
const connectionWindowBytes = 8 * 1024 * 1024
/** Of one header block, compressed. */
const maxBlockBytes = 65_536
/** A peer that makes us answer (pings, settings) and does not read is cut off at so many bytes. */
const maxUnreadBytes = 16 * 1024 * 1024

interface HeaderBlock {
  streamId: number
  isEnd: boolean
  parts: Buffer[]
  bytes: number
}

export class Connection implements StreamCarrier {
  /** Resolves when the connection is gone, for whatever reason. */
  readonly gone: Promise<void>
  readonly #tellGone: () => void
  readonly output: Output
  readonly #socket: Socket
  readonly #options: ConnectionOptions
  readonly #isServer: boolean
  readonly #parser = new FrameParser()
  readonly #decoder = new HeaderDecoder()
  readonly #streams = new Map<number, Stream>()
  /** Streams with data that the connection's window, or the socket, holds back. */
  readonly #held = new Set<Stream>()
  /** Opened by us, waiting for the peer to allow one more. */
  readonly #unopened = new Map<Stream, Buffer>()
  readonly #handlers = new Map<number, (frame: Frame) => void>([
    [frameType.data, frame => this.#onData(frame)],
    [frameType.headers, frame => this.#onHeaders(frame)],
    [frameType.continuation, frame => this.#onContinuation(frame)],
    [frameType.rstStream, frame => this.#onReset(frame)],
    [frameType.settings, frame => this.#onSettings(frame)],
    [frameType.ping, frame => this.#onPing(frame)],
    [frameType.goaway, frame => this.#onGoaway(frame)],
    [frameType.windowUpdate, frame => this.#onWindowUpdate(frame)],
    [frameType.pushPromise, () => refuse('a push was not allowed')],
  ])
  #prefaceLeft: number
  #block: HeaderBlock | undefined
  #sendWindow = defaultWindowBytes
  #receiveWindow = connectionWindowBytes
  #uncredited = 0
  #peerStreamWindow = defaultWindowBytes
  #peerMaxStreams = Number.POSITIVE_INFINITY
  #nextId = 1
  #lastPeerId = 0
  #ending = false
  #gone = false
  #error: Error | undefined

  constructor(socket: Socket, options: ConnectionOptions) {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.gone = promise
    this.#tellGone = resolve
    this.#socket = socket
    this.output = new Output(socket)
    this.#options = options
    this.#isServer = options.role === 'server'
    this.#prefaceLeft = this.#isServer ? preface.length : 0
    socket.on('data', (chunk: Buffer) => this.#receive(chunk))
    socket.on('drain', () => this.#resumeHeld())
    socket.on('error', error => {
      this.#error ??= error
    })
    socket.on('close', () => this.#socketClosed())
    if (!this.#isServer) this.output.frame(preface)
    const push = this.#isServer ? [] : ([[setting.enablePush, 0]] as const)
    this.output.frame(encodeSettings([...push, [setting.initialWindowSize, streamWindowBytes]]))
    this.output.window(0, connectionWindowBytes - defaultWindowBytes)
  }

  /** No stream can be opened any more. */
  get isClosed(): boolean {
    return this.#ending || this.#gone
  }

  get streamCount(): number {
    return this.#streams.size + this.#unopened.size
  }

  /** A client's: opens a stream with its request headers. Told of its end by the listener, also when it never got out. */
  open(block: Buffer, listener: StreamListener): Stream {
    const stream = this.#newStream(listener)
    if (this.isClosed) queueMicrotask(() => stream.close(this.#reason()))
    else if (this.#streams.size < this.#peerMaxStreams) this.#start(stream, block)
    else this.#unopened.set(stream, block)
    return stream
  }

  #newStream(listener: StreamListener): Stream {
    const stream = new Stream(this, { send: this.#peerStreamWindow, receive: streamWindowBytes })
    stream.listener = listener
    return stream
  }

  #start(stream: Stream, block: Buffer): void {
    stream.start(this.#nextId)
    this.#nextId += 2
    this.#streams.set(stream.id, stream)
    stream.sendHeaders(block, false)
    stream.resume()
    // Numbers are used up after weeks of calls; the next call takes a new connection.
    if (this.#nextId > maxWindowBytes - 2) this.end()
  }

  /** Takes no new streams, and closes after the last. */
  end(): void {
    if (this.isClosed) return
    this.#ending = true
    this.output.frame(encodeGoaway(this.#lastPeerId, errorCode.noError, ''))
    this.#endIfIdle()
  }

  /** Closes now; streams end with an error. */
  destroy(error?: Error): void {
    if (this.#gone) return
    this.#error ??= error
    this.output.flush()
    this.#socket.destroy()
    this.#socketClosed()
  }

  ref(): void {
    this.#socket.ref()
  }

  unref(): void {
    this.#socket.unref()
  }

  // --- what streams ask for

  takeWindow(wanted: number): number {
    const size = Math.min(wanted, this.#sendWindow)
    this.#sendWindow -= size
    return size
  }

  waitForRoom(stream: Stream): void {
    this.#held.add(stream)
  }

  creditConnection(bytes: number): void {
    this.#uncredited += bytes
    if (this.#uncredited < connectionWindowBytes / 2) return
    this.output.window(0, this.#uncredited)
    this.#receiveWindow += this.#uncredited
    this.#uncredited = 0
  }

  forget(stream: Stream): void {
    this.#streams.delete(stream.id)
    this.#held.delete(stream)
    this.#unopened.delete(stream)
    for (const [next, block] of this.#unopened) {
      if (this.#streams.size >= this.#peerMaxStreams) break
      this.#unopened.delete(next)
      this.#start(next, block)
    }
    this.#endIfIdle()
  }

  #resumeHeld(): void {
    const held = [...this.#held]
    this.#held.clear()
    for (const stream of held) stream.resume()
  }

  #endIfIdle(): void {
    if (!this.#ending || this.streamCount > 0 || this.#gone) return
    this.output.flush()
    this.#socket.end()
  }

  #socketClosed(): void {
    if (this.#gone) return
    this.#gone = true
    const reason = this.#reason()
    const unopened = [...this.#unopened.keys()]
    this.#unopened.clear()
    for (const stream of [...this.#streams.values(), ...unopened]) stream.close(reason)
    this.#tellGone()
  }

  #reason(): Error {
    return this.#error ?? new Error('the connection closed before an answer')
  }

  // --- reading

  #receive(chunk: Buffer): void {
    try {
      const rest = this.#prefaceLeft === 0 ? chunk : this.#skipPreface(chunk)
      for (const frame of this.#parser.push(rest)) {
        if (this.#gone) return
        this.#handle(frame)
      }
    } catch (error) {
      const { code, message } = error instanceof ConnectionError ? error : { code: errorCode.internal, message: '' }
      this.output.frame(encodeGoaway(this.#lastPeerId, code, message))
      this.destroy(error as Error)
    }
  }

  #skipPreface(chunk: Buffer): Buffer {
    const part = chunk.subarray(0, this.#prefaceLeft)
    const at = preface.length - this.#prefaceLeft
    if (!part.equals(preface.subarray(at, at + part.length))) refuse('the client does not speak HTTP/2')
    this.#prefaceLeft -= part.length
    return chunk.subarray(part.length)
  }

  #handle(frame: Frame): void {
    if (this.#block !== undefined && (frame.type !== frameType.continuation || frame.streamId !== this.#block.streamId))
      refuse('a header block was interrupted')
    // PRIORITY, and what later versions may bring, is passed over (section 5.5).
    this.#handlers.get(frame.type)?.(frame)
  }

  #onData(frame: Frame): void {
    const { streamId, payload, flags } = frame
    const stream = this.#known(streamId)
    this.#receiveWindow -= payload.length
    if (this.#receiveWindow < 0) throw new ConnectionError(errorCode.flowControl, 'more data than the window allows')
    const data = unpadded(frame)
    // Padding, and what comes for a stream that is gone, takes no room.
    this.creditConnection(payload.length - (stream === undefined ? 0 : data.length))
    if (stream?.isRemoteEnded) stream.reset(errorCode.streamClosed)
    else stream?.receiveData(data, (flags & flag.endStream) !== 0)
  }

  #onHeaders(frame: Frame): void {
    const { streamId, flags } = frame
    if (streamId === 0) refuse('headers without a stream')
    let block = unpadded(frame)
    if (flags & flag.priority) block = block.subarray(5)
    this.#block = { streamId, isEnd: (flags & flag.endStream) !== 0, parts: [block], bytes: block.length }
    if (flags & flag.endHeaders) this.#headersDone(this.#block)
  }

  #onContinuation({ payload, flags }: Frame): void {
    const block = this.#block
    if (block === undefined) refuse('a continuation of nothing')
    block.parts.push(payload)
    block.bytes += payload.length
    if (block.bytes > maxBlockBytes || block.parts.length > 64)
      throw new ConnectionError(errorCode.enhanceYourCalm, `headers of more than ${maxBlockBytes} bytes`)
    if (flags & flag.endHeaders) this.#headersDone(block)
  }

  #headersDone({ streamId, isEnd, parts }: HeaderBlock): void {
    this.#block = undefined
    const [only] = parts
    const headers = this.#decoder.decode(parts.length === 1 && only !== undefined ? only : Buffer.concat(parts))
    const known = this.#streams.get(streamId)
    if (known?.isRemoteEnded) known.reset(errorCode.streamClosed)
    else if (known !== undefined) known.receiveHeaders(headers, isEnd)
    else if (this.#isServer && streamId > this.#lastPeerId) this.#admit(streamId, headers, isEnd)
    else this.#known(streamId)
  }

  #admit(streamId: number, headers: Headers, isEnd: boolean): void {
    if (streamId % 2 === 0) refuse('a client’s stream has an even number')
    this.#lastPeerId = streamId
    if (this.#ending) {
      this.output.reset(streamId, errorCode.refusedStream)
      return
    }
    const stream = this.#newStream({})
    stream.start(streamId)
    this.#streams.set(streamId, stream)
    this.#options.onStream?.(stream, headers)
    if (isEnd) stream.receiveData(Buffer.alloc(0), true)
  }

  /** Undefined: it was there, and is gone. Streams that never were are the peer's mistake. */
  #known(streamId: number): Stream | undefined {
    const stream = this.#streams.get(streamId)
    const wasThere = this.#isServer ? streamId <= this.#lastPeerId : streamId < this.#nextId && streamId % 2 === 1
    if (stream === undefined && (!wasThere || streamId === 0))
      refuse(`a frame for stream ${streamId}, which is not there`)
    return stream
  }

  #onReset({ streamId, payload }: Frame): void {
    checkLength(payload, 4)
    const code = payload.readUInt32BE(0)
    const stream = this.#known(streamId)
    // After the whole answer it says no more than that the rest of the request is not wanted (section 8.1).
    stream?.close(stream.isRemoteEnded && code === errorCode.noError ? undefined : new StreamReset(code))
  }

  #onSettings({ flags, payload }: Frame): void {
    if (flags & flag.ack) return
    if (payload.length % 6 !== 0) throw new ConnectionError(errorCode.frameSize, 'settings cut short')
    for (let at = 0; at < payload.length; at += 6) this.#set(payload.readUInt16BE(at), payload.readUInt32BE(at + 2))
    this.#answer(encodeFrame(frameType.settings, flag.ack, 0))
  }

  #set(id: number, value: number): void {
    if (id === setting.maxConcurrentStreams) this.#peerMaxStreams = value
    if (id !== setting.initialWindowSize) return
    if (value > maxWindowBytes) throw new ConnectionError(errorCode.flowControl, `a window of ${value} bytes`)
    const change = value - this.#peerStreamWindow
    this.#peerStreamWindow = value
    for (const stream of [...this.#streams.values()]) this.#widen(stream, change)
  }

  #onPing({ flags, payload }: Frame): void {
    checkLength(payload, 8)
    if ((flags & flag.ack) === 0) this.#answer(encodeFrame(frameType.ping, flag.ack, 0, payload))
  }

  #answer(frame: Buffer): void {
    if (this.output.unreadBytes > maxUnreadBytes)
      throw new ConnectionError(errorCode.enhanceYourCalm, 'the peer does not read')
    this.output.frame(frame)
  }

  #onGoaway({ payload }: Frame): void {
    if (payload.length < 8) throw new ConnectionError(errorCode.frameSize, 'GOAWAY cut short')
    const last = payload.readUInt32BE(0) & 0x7fff_ffff
    this.#ending = true
    if (!this.#isServer)
      for (const stream of [...this.#streams.values(), ...this.#unopened.keys()])
        if (stream.id > last || stream.id === 0) stream.close(new Error('the server is going away'))
    this.#endIfIdle()
  }

  #onWindowUpdate({ streamId, payload }: Frame): void {
    checkLength(payload, 4)
    const bytes = payload.readUInt32BE(0) & 0x7fff_ffff
    if (bytes === 0) refuse('a window update of nothing')
    if (streamId !== 0) {
      const stream = this.#known(streamId)
      if (stream !== undefined) this.#widen(stream, bytes)
      return
    }
    this.#sendWindow += bytes
    if (this.#sendWindow > maxWindowBytes) throw new ConnectionError(errorCode.flowControl, 'a window too large')
    this.#resumeHeld()
  }

  #widen(stream: Stream, bytes: number): void {
    if (!stream.widen(bytes)) stream.reset(errorCode.flowControl)
  }
}

function unpadded({ flags, payload }: Frame): Buffer {
  if ((flags & flag.padded) === 0) return payload
  const padding = payload[0] ?? refuse('padding cut short')
  if (padding >= payload.length) refuse('more padding than frame')
  return payload.subarray(1, payload.length - padding)
}

function checkLength(payload: Buffer, bytes: number): void {
  if (payload.length !== bytes) throw new ConnectionError(errorCode.frameSize, `a frame of ${payload.length} bytes`)
}

function refuse(what: string): never {
  throw new ConnectionError(errorCode.protocol, what)
}
