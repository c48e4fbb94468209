/** One HTTP/2 stream: a call, seen from either end. */
import type { Headers } from './header-decoder.ts'
import type { Output } from './output.ts'
import { defaultFrameBytes, errorCode } from './wire.ts'

/** What a stream needs of its connection. */
export interface StreamCarrier {
  /** Bytes of data the peer takes now on the connection as a whole. */
  takeWindow(wanted: number): number
  creditConnection(bytes: number): void
  readonly output: Output
  /** Told again by {@link Stream.resume} when there is room. */
  waitForRoom(stream: Stream): void
  forget(stream: Stream): void
}

/** How a stream's owner is told; each is set before the next byte is read. */
export interface StreamListener {
  headers?(headers: Headers, isEnd: boolean): void
  /** Say {@link Stream.consumed} once it is dealt with: until then the peer's window stays that much smaller. */
  data?(bytes: Buffer): void
  /** The peer has said all. */
  end?(): void
  /** Nothing comes and nothing can be sent any more: both have said all (no error), or one has given up. Told once. */
  closed?(error: Error | undefined): void
}

export class StreamReset extends Error {
  readonly code: number

  constructor(code: number) {
    super(`the stream was reset (HTTP/2 error code ${code})`)
    this.code = code
  }
}

interface Waiting {
  bytes: Uint8Array
  isEnd: boolean
}

export class Stream {
  /** 0 until {@link start}. */
  id = 0
  listener: StreamListener = {}
  readonly #carrier: StreamCarrier
  readonly #receiveWindowBytes: number
  #sendWindow: number
  #queue: Waiting[] = []
  /** Trailers behind the queue. */
  #last: Buffer | undefined
  #uncredited = 0
  /** Received and not yet consumed: the connection's window is smaller by it. */
  #outstanding = 0
  #localEnded = false
  #remoteEnded = false
  #closed = false
  #drained: PromiseWithResolvers<void> | undefined

  constructor(carrier: StreamCarrier, windows: { send: number; receive: number }) {
    this.#carrier = carrier
    this.#sendWindow = windows.send
    this.#receiveWindowBytes = windows.receive
  }

  /** From now on it is `id` to the peer; what was queued goes out. */
  start(id: number): void {
    this.id = id
  }

  get isClosed(): boolean {
    return this.#closed
  }

  /** Nothing more can be sent. */
  get isLocalEnded(): boolean {
    return this.#localEnded || this.#closed
  }

  get isRemoteEnded(): boolean {
    return this.#remoteEnded
  }

  /** With `isEnd` after all data, whatever of it still waits for the peer. */
  sendHeaders(block: Buffer, isEnd: boolean): void {
    if (this.isLocalEnded) return
    if (isEnd && this.#queue.length > 0) {
      this.#last = block
      return
    }
    this.#carrier.output.headers(this.id, block, isEnd)
    if (isEnd) this.#endLocal()
  }

  /** False when it is better to await {@link drained} before the next. */
  sendData(bytes: Uint8Array, isEnd = false): boolean {
    if (this.isLocalEnded) return true
    this.#queue.push({ bytes, isEnd })
    this.resume()
    return this.#queue.length === 0 && !this.#carrier.output.isCongested
  }

  /** Resolves when the peer can take more, or the stream has closed. */
  drained(): Promise<void> {
    if (this.#closed || (this.#queue.length === 0 && !this.#carrier.output.isCongested)) return Promise.resolve()
    if (this.#carrier.output.isCongested) this.#carrier.waitForRoom(this)
    this.#drained ??= Promise.withResolvers()
    return this.#drained.promise
  }

  /** Sends what waits, as far as the windows allow. */
  resume(): void {
    if (this.id === 0) return
    while (!this.#closed) {
      const [next] = this.#queue
      if (next === undefined) break
      const size = this.#take(next)
      if (size < 0) return
      const isWhole = size === next.bytes.length
      this.#carrier.output.data(this.id, isWhole ? next.bytes : next.bytes.subarray(0, size), isWhole && next.isEnd)
      if (isWhole) this.#queue.shift()
      else next.bytes = next.bytes.subarray(size)
      if (isWhole && next.isEnd) this.#endLocal()
    }
    if (this.#queue.length > 0) return
    if (this.#last !== undefined) this.sendHeaders(this.#last, true)
    this.#last = undefined
    if (this.#drained === undefined) return
    if (this.#carrier.output.isCongested) this.#carrier.waitForRoom(this)
    else this.#tellDrained()
  }

  /** Bytes that may go in one frame; -1: none now. */
  #take({ bytes }: Waiting): number {
    if (bytes.length === 0) return 0
    const wanted = Math.min(bytes.length, this.#sendWindow, defaultFrameBytes)
    if (wanted <= 0) return -1
    const size = this.#carrier.takeWindow(wanted)
    if (size === 0) {
      this.#carrier.waitForRoom(this)
      return -1
    }
    this.#sendWindow -= size
    return size
  }

  #tellDrained(): void {
    this.#drained?.resolve()
    this.#drained = undefined
  }

  /** Room for `bytes` more of the peer's data; without a number for all that was received. */
  consumed(bytes = this.#outstanding): void {
    const freed = Math.min(bytes, this.#outstanding)
    this.#credit(freed)
    if (this.#remoteEnded || this.#closed) return
    this.#uncredited += freed
    if (this.#uncredited < this.#receiveWindowBytes / 2) return
    this.#carrier.output.window(this.id, this.#uncredited)
    this.#uncredited = 0
  }

  #credit(bytes: number): void {
    this.#outstanding -= bytes
    this.#carrier.creditConnection(bytes)
  }

  /** Gives up, and tells the peer why. */
  reset(code: number = errorCode.cancel, reason: Error = new StreamReset(code)): void {
    if (this.#closed) return
    if (this.id !== 0) this.#carrier.output.reset(this.id, code)
    this.close(reason)
  }

  #endLocal(): void {
    this.#localEnded = true
    if (this.#remoteEnded) this.close(undefined)
  }

  // What follows is told by the connection.

  /** False: past what the peer may have open. */
  widen(bytes: number): boolean {
    this.#sendWindow += bytes
    if (this.#sendWindow > 2 ** 31 - 1) return false
    if (bytes > 0) this.resume()
    return true
  }

  receiveHeaders(headers: Headers, isEnd: boolean): void {
    this.listener.headers?.(headers, isEnd)
    if (isEnd) this.#endRemote()
  }

  receiveData(bytes: Buffer, isEnd: boolean): void {
    if (bytes.length > 0) {
      this.#outstanding += bytes.length
      if (this.listener.data === undefined) this.consumed(bytes.length)
      else this.listener.data(bytes)
    }
    if (isEnd) this.#endRemote()
  }

  #endRemote(): void {
    if (this.#remoteEnded) return
    this.#remoteEnded = true
    this.listener.end?.()
    if (this.#localEnded) this.close(undefined)
  }

  close(error: Error | undefined): void {
    if (this.#closed) return
    this.#closed = true
    this.#queue = []
    // What the owner has not read yet is the owner's memory; the connection goes on.
    this.#credit(this.#outstanding)
    this.#carrier.forget(this)
    this.#tellDrained()
    this.listener.closed?.(error)
  }
}
