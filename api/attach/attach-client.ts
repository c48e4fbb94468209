/**
 * The attach protocol, client side (docs/attach.md): a JSON line each way, then frames with an 8-byte header
 * `[type, 0, 0, 0, u32be length]`. The shim serves it; the daemon is not between.
 */
import type { Socket } from 'node:net'
import { internal } from '../errors/errors.ts'
import {
  type AttachRequest,
  frameHeader,
  frameHeaderBytes,
  frameType,
  maxHelloBytes,
  openAttachSocket,
} from './frames.ts'

/** How the process ended. */
export interface ProcessExit {
  exitCode: number
  exitedAt: string
}

/** What the shim said, in order. The last one is the exit, unless the connection broke. */
export type Received = { stream: 'stdout' | 'stderr'; bytes: Buffer } | { exit: ProcessExit }

export interface Attachment extends AsyncDisposable {
  readonly tty: boolean
  /** Resolves when the shim took the bytes. */
  send(bytes: Buffer): Promise<void>
  endStdin(): void
  resize(rows: number, columns: number): void
  readonly received: AsyncIterable<Received>
}

/** UNAVAILABLE when no shim listens at `path`; INTERNAL when it refuses. */
export async function attach(path: string, request: AttachRequest): Promise<Attachment> {
  const socket = await openAttachSocket(path)
  socket.write(`${JSON.stringify(request)}\n`)
  const bytes = new ByteReader(socket)
  const hello = JSON.parse((await bytes.line()) || '{"ok":false,"error":"the connection closed"}')
  if (!hello.ok) throw internal(`attaching at ${path}: ${hello.error}`)
  return {
    tty: hello.tty,
    send: data => send(socket, frameType.stdin, data),
    endStdin: () => void send(socket, frameType.stdinEnd, Buffer.alloc(0)),
    resize: (rows, columns) => void send(socket, frameType.resize, sizePayload(rows, columns)),
    received: receive(bytes),
    [Symbol.asyncDispose]: async () => void socket.destroy(),
  }
}

function sizePayload(rows: number, columns: number): Buffer {
  const payload = Buffer.alloc(4)
  payload.writeUInt16BE(rows, 0)
  payload.writeUInt16BE(columns, 2)
  return payload
}

function send(socket: Socket, type: number, payload: Buffer): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  if (socket.destroyed) return Promise.resolve()
  socket.cork()
  socket.write(frameHeader(type, payload.length))
  socket.write(payload, () => resolve())
  socket.uncork()
  return promise
}

async function* receive(bytes: ByteReader): AsyncGenerator<Received> {
  for (;;) {
    const header = await bytes.exactly(frameHeaderBytes)
    if (header === undefined) return
    const payload = await bytes.exactly(header.readUInt32BE(4))
    if (payload === undefined) return
    const received = decode(header[0] ?? -1, payload)
    if (received !== undefined) yield received
  }
}

/** Frame types we do not know are skipped: a newer shim may send more. */
function decode(type: number, payload: Buffer): Received | undefined {
  if (type === frameType.stdout) return { stream: 'stdout', bytes: payload }
  if (type === frameType.stderr) return { stream: 'stderr', bytes: payload }
  if (type === frameType.exit) return { exit: JSON.parse(payload.toString()) }
  return undefined
}

/** Reads lines and exact amounts from a socket, and stops reading while nobody asks. */
class ByteReader {
  readonly #chunks: AsyncIterator<Buffer>
  #pending: Buffer = Buffer.alloc(0)

  constructor(socket: Socket) {
    this.#chunks = socket[Symbol.asyncIterator]()
  }

  /** Up to the next newline, which is taken and left out. */
  async line(): Promise<string> {
    for (;;) {
      const at = this.#pending.indexOf(10)
      if (at >= 0) return this.#take(at + 1).toString('utf8', 0, at)
      if (this.#pending.length > maxHelloBytes || !(await this.#more())) return ''
    }
  }

  /** Undefined when the peer closed before. */
  async exactly(count: number): Promise<Buffer | undefined> {
    while (this.#pending.length < count) if (!(await this.#more())) return undefined
    return this.#take(count)
  }

  #take(count: number): Buffer {
    const taken = this.#pending.subarray(0, count)
    this.#pending = this.#pending.subarray(count)
    return taken
  }

  async #more(): Promise<boolean> {
    try {
      const next = await this.#chunks.next()
      if (next.done) return false
      this.#pending = this.#pending.length === 0 ? next.value : Buffer.concat([this.#pending, next.value])
      return true
    } catch {
      return false
    }
  }
}
