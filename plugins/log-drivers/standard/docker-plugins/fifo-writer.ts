/** The writing end of a FIFO, which waits for its reader without holding a thread. */
import { constants, openSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { deadlineExceeded, unavailable } from '#api/errors/errors.ts'
import { mknod } from '#api/sys/sys.ts'

const S_IFIFO = 0o010000
const openMs = 10_000
const pollMs = 10

export class FifoWriter {
  readonly #path: string
  #socket: Socket | undefined
  #isClosed = false

  private constructor(path: string) {
    this.#path = path
  }

  /** One that is there is made anew: nobody reads it. */
  static async make(path: string): Promise<FifoWriter> {
    await rm(path, { force: true })
    await mknod(path, S_IFIFO | 0o600)
    return new FifoWriter(path)
  }

  /** DEADLINE_EXCEEDED: nobody opened it for reading. */
  async open(): Promise<void> {
    for (const deadline = Date.now() + openMs; !this.#isClosed; await sleep(pollMs)) {
      const fd = this.#tryOpen()
      if (fd !== undefined) {
        const socket = new Socket({ fd, readable: false, writable: true })
        socket.on('error', () => {})
        this.#socket = socket
        return
      }
      if (Date.now() > deadline) throw deadlineExceeded(`FIFO "${this.#path}": nobody reads it`)
    }
  }

  /** The synchronous call, for a descriptor that is the socket's alone; with these flags it does not wait. */
  #tryOpen(): number | undefined {
    try {
      return openSync(this.#path, constants.O_WRONLY | constants.O_NONBLOCK)
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENXIO') return undefined
      throw error
    }
  }

  /** Resolves when the bytes are in the FIFO. UNAVAILABLE: its reader is gone. */
  async write(bytes: Uint8Array): Promise<void> {
    const socket = this.#socket
    if (!socket || socket.destroyed) throw unavailable(`FIFO "${this.#path}" has no reader any more`)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    socket.write(bytes, error => (error ? reject(error) : resolve()))
    await promise
  }

  async close(): Promise<void> {
    this.#isClosed = true
    const socket = this.#socket
    this.#socket = undefined
    socket?.end()
    socket?.destroySoon()
  }
}
