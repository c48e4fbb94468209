/**
 * Published ports at ::1. The kernel translates 127.0.0.1 to a container's address (`route_localnet`) but has no such
 * switch for IPv6: it drops what comes back for ::1 from a link. So this process listens there itself and passes on what
 * comes. The container sees the bridge's address, as with 127.0.0.1. Ports of large ranges are not listened on, nor are
 * sctp's, for which Node has no sockets.
 */
import { messageOf } from '#api/errors/errors.ts'
import type { Logger } from '#api/log/log.ts'
import { type PublishedPort, singlePorts } from '#sdk/iptables-wrapper/firewall.ts'
import { relayTcp } from './tcp-relay.ts'
import { relayUdp } from './udp-relay.ts'

const loopback = '::1'
/** A listener costs a descriptor: a range longer than this gets none. */
const longestRange = 64

/** A port that is listened on. */
export interface Relay {
  /** Nobody new; whether those who are served go on is up to the protocol. */
  close(): void
  /** Nobody at all. */
  closeAll(): void
}

/** Listens at `host` until closed; rejects with the errno when somebody has the port. */
export type OpenRelay = (host: string, port: PublishedPort) => Promise<Relay>

const openers: Readonly<Record<string, OpenRelay>> = { tcp: relayTcp, udp: relayUdp }

export class LoopbackRelay {
  readonly #log: Logger
  readonly #relays = new Map<string, Promise<Relay | undefined>>()

  constructor(log: Logger) {
    this.#log = log
  }

  /** Listens for those of the ports that are published at ::1. A port that somebody took meanwhile is logged. */
  async open(ports: readonly PublishedPort[]): Promise<void> {
    await Promise.all(singlePorts(ports.filter(isRelayed)).map(port => this.#listen(port)))
  }

  close(ports: readonly PublishedPort[]): void {
    for (const port of singlePorts(ports.filter(isRelayed))) this.#end(keyOf(port), relay => relay.close())
  }

  closeAll(): void {
    for (const key of [...this.#relays.keys()]) this.#end(key, relay => relay.closeAll())
  }

  #listen(port: PublishedPort): Promise<unknown> {
    const key = keyOf(port)
    const known = this.#relays.get(key)
    if (known) return known
    const opening = openers[port.protocol]?.(loopback, port).catch(error => {
      this.#relays.delete(key)
      this.#log.warn({ port: key, reason: messageOf(error) }, 'a published port does not answer at ::1')
      return undefined
    })
    if (opening) this.#relays.set(key, opening)
    return Promise.resolve(opening)
  }

  #end(key: string, end: (relay: Relay) => void): void {
    void this.#relays.get(key)?.then(relay => relay && end(relay))
    this.#relays.delete(key)
  }
}

function keyOf({ protocol, hostPort }: PublishedPort): string {
  return `${hostPort}/${protocol}`
}

function isRelayed({ protocol, hostAddress, count }: PublishedPort): boolean {
  return protocol in openers && count <= longestRange && (hostAddress === '::' || hostAddress === loopback)
}
