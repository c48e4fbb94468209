/**
 * Ports of the host, given out once. A port is free when no attachment has it, no other gantryd on this host publishes
 * it, and a socket can be bound to it. It is not kept bound afterwards: that would cost a descriptor for each, and
 * connections reach the container before they reach any socket; a program that binds the port later gets none.
 */
import { alreadyExists, invalidArgument, notImplemented, resourceExhausted } from '#api/errors/errors.ts'
import type { ForeignPort, TransportProtocol } from '#sdk/iptables-wrapper/firewall.ts'
import type { PortMapping } from '#sdk/network.ts'
import { formatIpv4, parseIpv4 } from '#sdk/network-addresses.ts'
import { describeHolder, type HostPort, probePort } from './port-probe.ts'

/** How many random ports are tried for one mapping before the host counts as full. */
const maxAttempts = 1000

export interface HostPortsOptions {
  /** Range of random ports, both ends included. */
  readonly range: { readonly first: number; readonly last: number }
  readonly foreignPorts: () => Promise<readonly ForeignPort[]>
}

/** A host port that was given out, and the port it leads to. */
export interface TakenPort extends HostPort {
  readonly containerPort: number
}

interface Claim {
  readonly port: HostPort
  readonly holder: string
}

export class HostPorts {
  readonly #range: HostPortsOptions['range']
  readonly #foreignPorts: HostPortsOptions['foreignPorts']
  /** By protocol and number: one claim for all addresses, or several for different ones. */
  readonly #claims = new Map<string, Claim[]>()
  #next: number

  constructor({ range, foreignPorts }: HostPortsOptions) {
    this.#range = range
    this.#foreignPorts = foreignPorts
    this.#next = range.first + Math.floor(Math.random() * (range.last - range.first + 1))
  }

  /** Notes ports that `holder` has had since an earlier process. */
  restore(ports: readonly HostPort[], holder: string): void {
    for (const port of ports) this.#claim(port, holder)
  }

  /**
   * Claims a host port for each mapping, all or none. ALREADY_EXISTS: taken, by whom. INVALID_ARGUMENT: an address
   * the host does not have. RESOURCE_EXHAUSTED: no random port is free.
   */
  async take(mappings: readonly PortMapping[], holder: string): Promise<TakenPort[]> {
    if (mappings.length === 0) return []
    const foreign = await this.#foreignPorts()
    const taken: TakenPort[] = []
    try {
      for (const mapping of mappings) {
        const wish = readMapping(mapping)
        taken.push(
          wish.hostPort === 0
            ? await this.#takeRandom(wish, holder, foreign)
            : await this.#takeFixed(wish, holder, foreign),
        )
      }
      return taken
    } catch (error) {
      this.release(taken)
      throw error
    }
  }

  release(ports: readonly HostPort[]): void {
    for (const port of ports) {
      const left = (this.#claims.get(keyOf(port)) ?? []).filter(claim => claim.port.hostAddress !== port.hostAddress)
      if (left.length > 0) this.#claims.set(keyOf(port), left)
      else this.#claims.delete(keyOf(port))
    }
  }

  async #takeFixed(port: TakenPort, holder: string, foreign: readonly ForeignPort[]): Promise<TakenPort> {
    const owner = this.#ownerOf(port, foreign)
    if (owner !== undefined) throw taken(port, owner)
    this.#claim(port, holder)
    const refusal = await probePort(port)
    if (refusal === undefined) return port
    this.release([port])
    throw await explain(port, refusal)
  }

  async #takeRandom(wish: TakenPort, holder: string, foreign: readonly ForeignPort[]): Promise<TakenPort> {
    const attempts = Math.min(maxAttempts, this.#range.last - this.#range.first + 1)
    for (let i = 0; i < attempts; i++) {
      const port = { ...wish, hostPort: this.#nextRandom() }
      if (this.#ownerOf(port, foreign) !== undefined) continue
      this.#claim(port, holder)
      const refusal = await probePort(port)
      if (refusal === undefined) return port
      this.release([port])
      if (refusal !== 'EADDRINUSE') throw await explain(port, refusal)
    }
    throw resourceExhausted(
      `no free ${wish.protocol} port of the host between ${this.#range.first} and ${this.#range.last} (${attempts} tried)`,
    )
  }

  #ownerOf(port: HostPort, foreign: readonly ForeignPort[]): string | undefined {
    const claim = this.#claims.get(keyOf(port))?.find(({ port: other }) => collide(port, other))
    if (claim) return `container ${claim.holder}`
    const other = foreign.find(({ port: theirs }) => keyOf(theirs) === keyOf(port) && collide(port, theirs))
    return other && `another gantryd (firewall table ${other.table})`
  }

  #claim(port: HostPort, holder: string): void {
    const claims = this.#claims.get(keyOf(port)) ?? []
    this.#claims.set(keyOf(port), [...claims, { port, holder }])
  }

  #nextRandom(): number {
    const port = this.#next
    this.#next = port === this.#range.last ? this.#range.first : port + 1
    return port
  }
}

function readMapping({ protocol, hostPort, containerPort, hostIp }: PortMapping): TakenPort {
  if (hostIp.includes(':')) throw notImplemented(`ports: IPv6 host address ${hostIp}`)
  const hostAddress = hostIp === '' ? 0 : parseIpv4(hostIp, 'ports: host_ip')
  return { protocol: protocol as TransportProtocol, hostPort, containerPort, hostAddress }
}

/** Two mappings of one number collide on the same address, and when one of them is for all addresses. */
function collide(a: HostPort, b: HostPort): boolean {
  return a.hostAddress === b.hostAddress || a.hostAddress === 0 || b.hostAddress === 0
}

function keyOf({ protocol, hostPort }: HostPort): string {
  return `${protocol}/${hostPort}`
}

async function explain(port: HostPort, refusal: string) {
  if (refusal === 'EADDRINUSE') return taken(port, await describeHolder(port))
  if (refusal === 'EADDRNOTAVAIL')
    return invalidArgument(`ports: the host has no address ${formatIpv4(port.hostAddress)} to publish a port on`)
  return invalidArgument(`ports: host port ${textOf(port)} cannot be used (${refusal})`)
}

function taken(port: HostPort, owner: string) {
  return alreadyExists(`host port ${textOf(port)} is taken by ${owner}`, { bare: true })
}

function textOf({ protocol, hostAddress, hostPort }: HostPort): string {
  return `${formatIpv4(hostAddress)}:${hostPort}/${protocol}`
}
