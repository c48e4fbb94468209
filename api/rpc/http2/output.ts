/** Frames on their way into a socket: what is written within one turn of the event loop goes out in one write. */
import type { Socket } from 'node:net'
import { defaultFrameBytes, encodeFrame, encodeHead, encodeNumberFrame, flag, frameType } from './wire.ts'

/** Copying less than this into one buffer is cheaper than handing over many. */
const joinBytes = 16_384

export class Output {
  readonly #socket: Socket
  #waiting: Uint8Array[] = []
  #flushDue = false

  constructor(socket: Socket) {
    this.#socket = socket
  }

  /** The socket tells (`drain`) when it has room again. */
  get isCongested(): boolean {
    return this.#socket.writableNeedDrain
  }

  /** Bytes the peer has not read. */
  get unreadBytes(): number {
    return this.#socket.writableLength
  }

  headers(streamId: number, block: Buffer, isEnd: boolean): void {
    const end = isEnd ? flag.endStream : 0
    if (block.length <= defaultFrameBytes) {
      this.frame(encodeFrame(frameType.headers, end | flag.endHeaders, streamId, block))
      return
    }
    for (let at = 0; at < block.length; at += defaultFrameBytes) {
      const isLast = at + defaultFrameBytes >= block.length
      const type = at === 0 ? frameType.headers : frameType.continuation
      const flags = (at === 0 ? end : 0) | (isLast ? flag.endHeaders : 0)
      this.frame(encodeFrame(type, flags, streamId, block.subarray(at, at + defaultFrameBytes)))
    }
  }

  /** At most as many bytes as a frame may have. */
  data(streamId: number, bytes: Uint8Array, isEnd: boolean): void {
    this.frame(encodeHead(bytes.length, frameType.data, isEnd ? flag.endStream : 0, streamId))
    if (bytes.length > 0) this.frame(bytes)
  }

  reset(streamId: number, code: number): void {
    this.frame(encodeNumberFrame(frameType.rstStream, streamId, code))
  }

  /** Stream 0: the connection as a whole. */
  window(streamId: number, bytes: number): void {
    this.frame(encodeNumberFrame(frameType.windowUpdate, streamId, bytes))
  }

  /** Bytes that are a frame, or the next part of one. */
  frame(bytes: Uint8Array): void {
    this.#waiting.push(bytes)
    if (this.#flushDue) return
    this.#flushDue = true
    queueMicrotask(() => this.flush())
  }

  flush(): void {
    this.#flushDue = false
    const parts = this.#waiting
    this.#waiting = []
    if (parts.length === 0 || this.#socket.destroyed) return
    const bytes = parts.reduce((sum, part) => sum + part.length, 0)
    if (bytes <= joinBytes) {
      this.#socket.write(Buffer.concat(parts, bytes))
      return
    }
    this.#socket.cork()
    for (const part of parts) this.#socket.write(part)
    this.#socket.uncork()
  }
}
