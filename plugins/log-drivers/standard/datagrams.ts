/** Datagrams over UDP. */
import { createSocket, type Socket } from 'node:dgram'
import { lookup } from 'node:dns/promises'

export class UdpSender {
  readonly #socket: Socket
  readonly #port: number
  readonly #address: string

  private constructor(socket: Socket, address: string, port: number) {
    this.#socket = socket
    this.#address = address
    this.#port = port
  }

  static async open(host: string, port: number): Promise<UdpSender> {
    const { address, family } = await lookup(host)
    const socket = createSocket(family === 6 ? 'udp6' : 'udp4')
    socket.on('error', () => {})
    socket.unref()
    return new UdpSender(socket, address, port)
  }

  send(bytes: Uint8Array): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#socket.send(bytes, this.#port, this.#address, error => (error ? reject(error) : resolve()))
    return promise
  }

  close(): void {
    this.#socket.close()
  }
}
