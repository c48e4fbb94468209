/** Who has which ports of the host, in memory: a lookup costs the same beside one claim and beside 50,000. */
import { isWildcard } from '#sdk/iptables-wrapper/firewall.ts'
import { familyOf } from '#sdk/network-addresses.ts'
import type { HostPort } from './port-probe.ts'

export interface Claim {
  readonly port: HostPort
  readonly holder: string
}

export class PortClaims {
  /** By protocol, then number. All ports of a range share one list until one of them gets another claim. */
  readonly #claims = new Map<HostPort['protocol'], Map<number, readonly Claim[]>>()

  add(claim: Claim): void {
    const { hostPort, count } = claim.port
    const own = this.#of(claim.port)
    const alone = [claim]
    for (let number = hostPort; number < hostPort + count; number++) {
      const others = own.get(number)
      own.set(number, others ? [...others, claim] : alone)
    }
  }

  /** Whatever is claimed of these ports on that very address. */
  remove(port: HostPort): void {
    const { hostPort, count, hostAddress } = port
    const own = this.#of(port)
    for (let number = hostPort; number < hostPort + count; number++) {
      const left = own.get(number)?.filter(claim => claim.port.hostAddress !== hostAddress) ?? []
      if (left.length > 0) own.set(number, left)
      else own.delete(number)
    }
  }

  /** The first port of the range that somebody has on a colliding address. */
  collision(port: HostPort): { hostPort: number; claim: Claim } | undefined {
    const own = this.#of(port)
    for (let number = port.hostPort; number < port.hostPort + port.count; number++) {
      const claim = own.get(number)?.find(other => addressesCollide(port, other.port))
      if (claim) return { hostPort: number, claim }
    }
    return undefined
  }

  #of({ protocol }: HostPort): Map<number, readonly Claim[]> {
    const known = this.#claims.get(protocol) ?? new Map<number, readonly Claim[]>()
    this.#claims.set(protocol, known)
    return known
  }
}

/** Two ranges that no two containers can have both. */
export function portCollides(a: HostPort, b: HostPort): boolean {
  const overlap = a.hostPort < b.hostPort + b.count && b.hostPort < a.hostPort + a.count
  return a.protocol === b.protocol && overlap && addressesCollide(a, b)
}

/** On the same address, and when one of them is for all addresses of the family. */
function addressesCollide(a: HostPort, b: HostPort): boolean {
  if (familyOf(a.hostAddress) !== familyOf(b.hostAddress)) return false
  return a.hostAddress === b.hostAddress || isWildcard(a) || isWildcard(b)
}
