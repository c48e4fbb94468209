/**
 * Ports of the host, given out once. A port is free when no attachment has it, no other gantryd on this host publishes
 * it, and a socket can be bound to it. It is not kept bound afterwards: that would cost a descriptor for each, and
 * connections reach the container before they reach any socket; a program that binds the port later gets none.
 */
import { alreadyExists, invalidArgument, resourceExhausted } from '#api/errors/errors.ts'
import type { ForeignPort } from '#sdk/iptables-wrapper/firewall.ts'
import { familyOf } from '#sdk/network-addresses.ts'
import { type Claim, PortClaims, portCollides } from './port-claims.ts'
import { describeHolder, type HostPort, probePorts, type Refusal } from './port-probe.ts'

/** How many places are tried for one random range before the host counts as full. */
const maxAttempts = 1000
const maxPort = 65_535

export interface HostPortsOptions {
  /** Range of random ports, both ends included. */
  readonly range: { readonly first: number; readonly last: number }
  readonly foreignPorts: () => Promise<readonly ForeignPort[]>
}

/** A wish for the same range on one or more addresses. `hostPort` 0: anywhere. */
export interface PortWish {
  readonly protocol: HostPort['protocol']
  readonly hostPort: number
  readonly count: number
  readonly hostAddresses: readonly string[]
}

export class HostPorts {
  readonly #range: HostPortsOptions['range']
  readonly #foreignPorts: HostPortsOptions['foreignPorts']
  readonly #claims = new PortClaims()
  #next: number

  constructor({ range, foreignPorts }: HostPortsOptions) {
    this.#range = range
    this.#foreignPorts = foreignPorts
    this.#next = range.first + Math.floor(Math.random() * (range.last - range.first + 1))
  }

  /** Notes ports that `holder` has had since an earlier process. */
  restore(ports: readonly HostPort[], holder: string): void {
    for (const port of ports) this.#claims.add({ port, holder })
  }

  /**
   * Claims a host port (or range) for each wish, all or none; answers the first port of each. ALREADY_EXISTS: taken, by
   * whom. INVALID_ARGUMENT: an address the host does not have. RESOURCE_EXHAUSTED: no random port is free.
   */
  async take(wishes: readonly PortWish[], holder: string): Promise<number[]> {
    if (wishes.length === 0) return []
    const foreign = await this.#foreignPorts()
    const taken: Claim[] = []
    try {
      const found: number[] = []
      for (const wish of wishes) {
        const first =
          wish.hostPort === 0
            ? await this.#takeRandom(wish, holder, foreign, taken)
            : await this.#takeFixed(wish, holder, foreign, taken)
        found.push(first)
      }
      return found
    } catch (error) {
      for (const { port } of taken) this.#claims.remove(port)
      throw error
    }
  }

  release(ports: readonly HostPort[]): void {
    for (const port of ports) this.#claims.remove(port)
  }

  async #takeFixed(wish: PortWish, holder: string, foreign: readonly ForeignPort[], taken: Claim[]): Promise<number> {
    if (wish.hostPort + wish.count - 1 > maxPort)
      throw invalidArgument(`ports: ${wish.count} ports from ${wish.hostPort} on go beyond ${maxPort}`)
    const ports = portsOf(wish, wish.hostPort)
    for (const port of ports) {
      const owner = this.#ownerOf(port, foreign)
      if (owner) throw takenBy(port, owner.hostPort, owner.who)
    }
    this.#claim(ports, holder, taken)
    const refused = await firstRefused(ports)
    if (refused) throw await explain(refused)
    return wish.hostPort
  }

  async #takeRandom(wish: PortWish, holder: string, foreign: readonly ForeignPort[], taken: Claim[]): Promise<number> {
    const { first, last } = this.#range
    const attempts = Math.min(maxAttempts, last - first + 1)
    for (let i = 0; i < attempts; i++) {
      const start = this.#nextRandom(wish.count)
      if (start + wish.count - 1 > last) break
      const ports = portsOf(wish, start)
      if (ports.some(port => this.#ownerOf(port, foreign))) continue
      const mark = taken.length
      this.#claim(ports, holder, taken)
      const refused = await firstRefused(ports)
      if (refused === undefined) return start
      for (const { port } of taken.splice(mark)) this.#claims.remove(port)
      if (refused.refusal.code !== 'EADDRINUSE') throw await explain(refused)
    }
    throw resourceExhausted(
      `no ${wish.count === 1 ? 'free' : `${wish.count} free consecutive`} ${wish.protocol} port of the host between ${first} and ${last} (${attempts} places tried): free some, or widen first_random_port and last_random_port`,
    )
  }

  #claim(ports: readonly HostPort[], holder: string, taken: Claim[]): void {
    for (const port of ports) {
      const claim = { port, holder }
      this.#claims.add(claim)
      taken.push(claim)
    }
  }

  #ownerOf(port: HostPort, foreign: readonly ForeignPort[]): { hostPort: number; who: string } | undefined {
    const found = this.#claims.collision(port)
    if (found) return { hostPort: found.hostPort, who: `container ${found.claim.holder}` }
    const other = foreign.find(({ port: theirs }) => portCollides(port, theirs))
    return other && { hostPort: other.port.hostPort, who: `another gantryd (firewall table ${other.table})` }
  }

  #nextRandom(count: number): number {
    const { first, last } = this.#range
    const start = this.#next + count - 1 > last ? first : this.#next
    this.#next = start + count > last ? first : start + count
    return start
  }
}

function portsOf({ protocol, hostAddresses, count }: PortWish, hostPort: number): HostPort[] {
  return hostAddresses.map(hostAddress => ({ protocol, hostAddress, hostPort, count }))
}

interface RefusedPort {
  readonly port: HostPort
  readonly refusal: Refusal
}

/** Both families' addresses are tried side by side: a container's port waits for it. */
async function firstRefused(ports: readonly HostPort[]): Promise<RefusedPort | undefined> {
  const refusals = await Promise.all(ports.map(probePorts))
  return ports.flatMap((port, i) => {
    const refusal = refusals[i]
    return refusal ? [{ port, refusal }] : []
  })[0]
}

async function explain({ port, refusal: { hostPort, code } }: RefusedPort) {
  if (code === 'EADDRINUSE') return takenBy(port, hostPort, await describeHolder(port.protocol, hostPort))
  if (code === 'EADDRNOTAVAIL')
    return invalidArgument(`ports: the host has no address ${port.hostAddress} to publish a port on`)
  return invalidArgument(`ports: host port ${textOf(port, hostPort)} cannot be used (${code})`)
}

function takenBy(port: HostPort, hostPort: number, owner: string) {
  return alreadyExists(`host port ${textOf(port, hostPort)} is taken by ${owner}`, { bare: true })
}

function textOf({ protocol, hostAddress }: HostPort, hostPort: number): string {
  const host = familyOf(hostAddress) === 6 ? `[${hostAddress}]` : hostAddress
  return `${host}:${hostPort}/${protocol}`
}
