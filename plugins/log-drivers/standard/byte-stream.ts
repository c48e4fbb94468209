/** A connection that is made when there is something to send, and again after it broke. */
import { once } from 'node:events'
import { connect as connectTcp, type NetConnectOpts, type Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import { unavailable } from '#api/errors/errors.ts'

export interface StreamTarget {
  readonly to: NetConnectOpts
  /** Undefined: in the clear. */
  readonly tls?: ConnectionOptions
}

const connectMs = 10_000

export class ByteStream {
  readonly #target: StreamTarget
  #socket: Socket | undefined

  constructor(target: StreamTarget) {
    this.#target = target
  }

  /** Resolves when the kernel has the bytes. UNAVAILABLE: there is no connection, or it broke. */
  async write(bytes: Uint8Array): Promise<void> {
    const socket = await this.#connected()
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const broke = () => reject(unavailable('the connection was closed'))
    socket.once('close', broke)
    socket.write(bytes, error => (error ? reject(error) : resolve()))
    await promise.finally(() => socket.off('close', broke))
  }

  /** What the other side sends next. */
  async read(timeoutMs: number): Promise<Buffer> {
    const socket = await this.#connected()
    const signal = AbortSignal.timeout(timeoutMs)
    const [bytes] = (await Promise.race([
      once(socket, 'data', { signal }),
      once(socket, 'close', { signal }).then(() => Promise.reject(unavailable('the connection was closed'))),
    ])) as [Buffer]
    return bytes
  }

  /** The next write makes a new connection. */
  drop(): void {
    this.#socket?.destroy()
    this.#socket = undefined
  }

  /** What was written is sent before the end. */
  async close(): Promise<void> {
    const socket = this.#socket
    this.#socket = undefined
    if (!socket || socket.destroyed) return
    socket.end()
    const timer = setTimeout(() => socket.destroy(), connectMs)
    await once(socket, 'close').catch(() => {})
    clearTimeout(timer)
  }

  async #connected(): Promise<Socket> {
    const current = this.#socket
    if (current && !current.destroyed && current.writable) return current
    const { to, tls } = this.#target
    const socket = tls ? connectTls({ ...to, ...tls } as ConnectionOptions) : connectTcp(to)
    const timer = setTimeout(() => socket.destroy(unavailable('no connection in 10 s')), connectMs)
    try {
      await once(socket, tls ? 'secureConnect' : 'connect')
    } finally {
      clearTimeout(timer)
    }
    // A server that closes, or says something nobody asked for.
    socket.on('error', () => {})
    socket.on('end', () => socket.destroy())
    socket.resume()
    this.#socket = socket
    return socket
  }
}
