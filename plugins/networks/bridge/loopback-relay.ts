/**
 * Published TCP ports at ::1. The kernel translates 127.0.0.1 to a container's address (`route_localnet`) but has no such
 * switch for IPv6: it drops what comes back for ::1 from a link. So this process listens there itself and passes bytes on.
 * The container sees the bridge's address, as with 127.0.0.1. Ports of large ranges are not listened on.
 */
import { connect, createServer, type Server, type Socket } from 'node:net'
import { messageOf } from '#api/errors/errors.ts'
import type { Logger } from '#api/log/log.ts'
import { type PublishedPort, singlePorts } from '#sdk/iptables-wrapper/firewall.ts'

const loopback = '::1'
/** A listener costs a descriptor: a range longer than this gets none. */
const longestRange = 64

export class LoopbackRelay {
  readonly #log: Logger
  readonly #servers = new Map<number, Server>()
  readonly #clients = new Set<Socket>()

  constructor(log: Logger) {
    this.#log = log
  }

  /** Listens for those of the ports that are published at ::1. A port that somebody took meanwhile is logged. */
  async open(ports: readonly PublishedPort[]): Promise<void> {
    await Promise.all(singlePorts(ports.filter(isRelayed)).map(port => this.#listen(port)))
  }

  close(ports: readonly PublishedPort[]): void {
    for (const { hostPort } of singlePorts(ports.filter(isRelayed))) {
      this.#servers.get(hostPort)?.close()
      this.#servers.delete(hostPort)
    }
  }

  closeAll(): void {
    for (const server of this.#servers.values()) server.close()
    for (const client of this.#clients) client.destroy()
    this.#servers.clear()
  }

  #listen(port: PublishedPort): Promise<void> {
    if (this.#servers.has(port.hostPort)) return Promise.resolve()
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, client => this.#relay(client, port))
    this.#servers.set(port.hostPort, server)
    return new Promise(resolve => {
      server.once('error', error => {
        this.#servers.delete(port.hostPort)
        this.#log.warn({ port: port.hostPort, reason: messageOf(error) }, 'a published port does not answer at ::1')
        resolve()
      })
      server.listen({ host: loopback, port: port.hostPort, exclusive: true }, resolve)
    })
  }

  #relay(client: Socket, { containerAddress, containerPort }: PublishedPort): void {
    const target = connect({ host: containerAddress, port: containerPort, allowHalfOpen: true })
    const end = () => {
      client.destroy()
      target.destroy()
      this.#clients.delete(client)
    }
    this.#clients.add(client)
    client.on('error', end).on('close', end)
    target.on('error', end).on('close', end)
    target.once('connect', () => {
      client.pipe(target).pipe(client)
      client.resume()
    })
  }
}

function isRelayed({ protocol, hostAddress, count }: PublishedPort): boolean {
  return protocol === 'tcp' && count <= longestRange && (hostAddress === '::' || hostAddress === loopback)
}
