/**
 * Passes datagrams on, as the kernel's connection tracking would: each client has a socket of its own towards the
 * container, so that answers find back to it; it ends when nothing came or went for a while, and with its port.
 */
import { createSocket, type Socket } from 'node:dgram'
import type { PublishedPort } from '#sdk/iptables-wrapper/firewall.ts'
import type { Relay } from './loopback-relay.ts'

/** As nf_conntrack_udp_timeout_stream. */
const idleMs = 120_000
/** Each is a descriptor: of a port with more clients, the one that was silent longest is let go. */
const mostClients = 256

interface Flow {
  readonly target: Socket
  readonly connected: Promise<void>
  timer: NodeJS.Timeout
}

export async function relayUdp(host: string, port: PublishedPort): Promise<Relay> {
  const socket = createSocket({ type: 'udp6', ipv6Only: true })
  await new Promise<void>((resolve, reject) => {
    socket.on('error', reject).bind({ address: host, port: port.hostPort, exclusive: true }, resolve)
  }).catch(error => {
    socket.close()
    throw error
  })
  const flows = new Flows(socket, port)
  socket.on('message', (bytes, from) => flows.pass(bytes, from.port, from.address))
  const close = () => {
    socket.close()
    flows.end()
  }
  return { close, closeAll: close }
}

class Flows {
  readonly #socket: Socket
  readonly #port: PublishedPort
  /** By client; the one that was silent longest is the first. */
  readonly #flows = new Map<string, Flow>()

  constructor(socket: Socket, port: PublishedPort) {
    this.#socket = socket
    this.#port = port
  }

  pass(bytes: Buffer, clientPort: number, clientAddress: string): void {
    const key = `${clientAddress} ${clientPort}`
    const flow = this.#flows.get(key) ?? this.#open(key, clientPort, clientAddress)
    this.#touch(key, flow)
    // What cannot be sent is lost, as datagrams are.
    flow.connected.then(
      () => this.#flows.get(key) === flow && flow.target.send(bytes, () => {}),
      () => {},
    )
  }

  end(): void {
    for (const key of [...this.#flows.keys()]) this.#end(key)
  }

  #open(key: string, clientPort: number, clientAddress: string): Flow {
    const [oldest] = this.#flows.keys()
    if (oldest !== undefined && this.#flows.size >= mostClients) this.#end(oldest)
    const target = createSocket('udp6')
    const { promise: connected, resolve, reject } = Promise.withResolvers<void>()
    const flow: Flow = { target, connected, timer: this.#expiry(key) }
    target.on('error', reject)
    target.on('message', bytes => {
      this.#touch(key, flow)
      this.#socket.send(bytes, clientPort, clientAddress, () => {})
    })
    connected.catch(() => this.#end(key))
    const settled = (error?: Error) => (error ? reject(error) : resolve())
    target.connect(this.#port.containerPort, this.#port.containerAddress, settled as () => void)
    return flow
  }

  #touch(key: string, flow: Flow): void {
    flow.timer.refresh()
    this.#flows.delete(key)
    this.#flows.set(key, flow)
  }

  #expiry(key: string): NodeJS.Timeout {
    return setTimeout(() => this.#end(key), idleMs).unref()
  }

  #end(key: string): void {
    const flow = this.#flows.get(key)
    if (flow === undefined) return
    this.#flows.delete(key)
    clearTimeout(flow.timer)
    flow.target.close()
  }
}
