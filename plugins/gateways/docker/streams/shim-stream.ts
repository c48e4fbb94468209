/**
 * The attach protocol of a shim, client side (docs/attach.md), for streams that pass through: a JSON line each way, then
 * frames `[type, 0, 0, 0, u32be length]`. Output frames have the very form of Docker's multiplexed stream.
 */
import type { Socket } from 'node:net'
import {
  type AttachRequest,
  frameHeader,
  frameHeaderBytes,
  frameType,
  maxHelloBytes,
  openAttachSocket,
} from '#api/attach/frames.ts'
import { internal } from '#api/errors/errors.ts'

/** One connection to a shim. */
export interface ShimStream {
  readonly tty: boolean
  /** False: the shim is slower than its input; wait for `onDrain`. */
  write(bytes: Buffer): boolean
  onDrain(callback: () => void): void
  endStdin(): void
  /** Output goes to `sink` until the process or the connection ends. False from the sink stops it until {@link resume}. */
  deliver(sink: OutputSink): void
  resume(): void
  close(): void
}

export interface OutputSink {
  /** `frame` is header and payload, `payload` a part of the same memory. */
  output(frame: Buffer, payload: Buffer): boolean
  /** Undefined: the connection ended first. */
  end(exitCode: number | undefined): void
}

/** UNAVAILABLE when no shim listens at `path`; INTERNAL when it refuses. */
export async function openShimStream(path: string, request: AttachRequest): Promise<ShimStream> {
  const socket = await openAttachSocket(path)
  socket.write(`${JSON.stringify(request)}\n`)
  const { hello, rest } = await readHello(socket, path)
  return new Stream(socket, hello.tty === true, rest)
}

interface Hello {
  ok: boolean
  tty?: boolean
  error?: string
}

function readHello(socket: Socket, path: string): Promise<{ hello: Hello; rest: Buffer }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ hello: Hello; rest: Buffer }>()
  let bytes: Buffer = Buffer.alloc(0)
  const fail = (reason: string) => {
    socket.destroy()
    reject(internal(`attaching at ${path}: ${reason}`))
  }
  const onClose = () => fail('the connection closed')
  const onData = (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk])
    const at = bytes.indexOf(10)
    if (at < 0) return bytes.length > maxHelloBytes ? fail('no hello') : undefined
    socket.off('data', onData).off('close', onClose).pause()
    const hello: Hello = JSON.parse(bytes.toString('utf8', 0, at))
    if (hello.ok) resolve({ hello, rest: bytes.subarray(at + 1) })
    else fail(hello.error ?? 'refused')
  }
  socket.on('data', onData).once('close', onClose)
  return promise
}

class Stream implements ShimStream {
  readonly tty: boolean
  readonly #socket: Socket
  #pending: Buffer
  #stopped = false
  #sink: OutputSink | undefined
  #exitCode: number | undefined

  constructor(socket: Socket, tty: boolean, rest: Buffer) {
    this.#socket = socket
    this.tty = tty
    this.#pending = rest
  }

  write(bytes: Buffer): boolean {
    return this.#send(frameType.stdin, bytes)
  }

  onDrain(callback: () => void): void {
    this.#socket.once('drain', callback)
  }

  endStdin(): void {
    this.#send(frameType.stdinEnd, Buffer.alloc(0))
  }

  #send(type: number, payload: Buffer): boolean {
    if (this.#socket.destroyed || this.#socket.writableEnded) return true
    this.#socket.cork()
    this.#socket.write(frameHeader(type, payload.length))
    const isTaken = this.#socket.write(payload)
    this.#socket.uncork()
    return isTaken
  }

  deliver(sink: OutputSink): void {
    this.#sink = sink
    this.#socket.on('data', chunk => {
      this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk])
      this.#drain()
    })
    this.#socket.once('close', () => {
      this.#stopped = false
      this.#drain()
      sink.end(this.#exitCode)
    })
    this.resume()
  }

  resume(): void {
    this.#stopped = false
    this.#drain()
    if (!this.#stopped) this.#socket.resume()
  }

  close(): void {
    this.#socket.destroy()
  }

  /** Hands on each complete frame, until the sink has enough. */
  #drain(): void {
    while (!this.#stopped && this.#pending.length >= frameHeaderBytes) {
      const end = frameHeaderBytes + this.#pending.readUInt32BE(4)
      if (this.#pending.length < end) break
      const frame = this.#pending.subarray(0, end)
      this.#pending = this.#pending.subarray(end)
      this.#take(frame)
    }
    if (this.#stopped) this.#socket.pause()
  }

  /** Types we do not know are skipped: a newer shim may send more. */
  #take(frame: Buffer): void {
    const [type] = frame
    const payload = frame.subarray(frameHeaderBytes)
    if (type === frameType.exit) this.#exitCode = JSON.parse(payload.toString()).exitCode
    else if (type === frameType.stdout || type === frameType.stderr)
      this.#stopped = this.#sink?.output(frame, payload) === false
  }
}
