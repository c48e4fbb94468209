import { connect, type Socket } from 'node:net'

/** The kernel holds as much of a unix socket's bytes, and a little more. */
const bufferBytes = 256 * 1024

/**
 * What a socket receives, read into one buffer again and again: a chunk is valid until the next is asked for. Chunks of their own, as
 * sockets usually give, are garbage whose collection costs several times what reading costs.
 */
export class SocketBytes implements AsyncIterable<Uint8Array>, AsyncIterator<Uint8Array, undefined> {
  readonly socket: Socket
  #received: ((chunk: Uint8Array) => void) | undefined

  constructor(path: string) {
    const buffer = Buffer.allocUnsafeSlow(bufferBytes)
    const callback = (length: number) => {
      this.#received?.(buffer.subarray(0, length))
      // Paused until the next is asked for.
      return false
    }
    this.socket = connect({ path, onread: { buffer, callback } })
    // Else it would read as soon as it is connected, and nobody has asked yet: those bytes would be lost.
    this.socket.pause()
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    const { socket } = this
    if (socket.readableEnded || socket.destroyed) return this.#end()
    const { promise, resolve } = Promise.withResolvers<Uint8Array | undefined>()
    this.#received = resolve
    const ended = () => resolve(undefined)
    socket.once('end', ended).once('close', ended)
    socket.resume()
    const chunk = await promise
    socket.off('end', ended).off('close', ended)
    return chunk === undefined ? this.#end() : { done: false, value: chunk }
  }

  async return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.socket.destroy()
    return { done: true, value: undefined }
  }

  /** A socket that broke has not ended. */
  #end(): IteratorResult<Uint8Array, undefined> {
    if (this.socket.errored) throw this.socket.errored
    return { done: true, value: undefined }
  }
}
