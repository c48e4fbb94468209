/** Chooses how to speak to the packet filter. */
import type { Logger } from '#api/log/log.ts'
import { EgressFilter, type EgressGuard } from './egress/egress-filter.ts'
import type { Firewall, FirewallState } from './firewall.ts'
import { Iptables } from './iptables/iptables.ts'
import { redirectByIptables } from './iptables/loopback-redirect.ts'
import { hasIptables } from './iptables/run-iptables.ts'
import { type LoopbackRedirect, redirectLoopback } from './nftables/loopback-redirect.ts'
import { Nftables } from './nftables/nftables.ts'
import { hasNft } from './nftables/run-nft.ts'

export const firewallBackends = ['nftables', 'iptables'] as const
export type FirewallBackend = (typeof firewallBackends)[number]

/** `auto`: nftables; iptables where that alone is installed. */
export function chosenBackend(wanted: FirewallBackend | 'auto'): FirewallBackend {
  if (wanted !== 'auto') return wanted
  return !hasNft() && hasIptables() ? 'iptables' : 'nftables'
}

export interface FirewallOptions {
  readonly backend: FirewallBackend
  /** Eight hexadecimal digits that keep our rules apart from another gantryd's. */
  readonly instance: string
  /** What shall be in force; asked whenever everything is made anew. */
  readonly state: () => FirewallState
  readonly log: Logger
}

/** Undefined: the backend has none. */
export function openEgressFilter({
  backend,
  instance,
  state,
  log,
}: Omit<FirewallOptions, 'state'> & { state: () => readonly EgressGuard[] }): EgressFilter | undefined {
  return backend === 'iptables' ? undefined : new EgressFilter({ table: `gantry-egress-${instance}`, state, log })
}

/** Leads a loopback port of a container's namespace to another one. */
export type Redirect = (netns: string, redirect: LoopbackRedirect) => Promise<void>

export function openRedirect(backend: FirewallBackend): Redirect {
  return backend === 'iptables' ? redirectByIptables : redirectLoopback
}

/** Opens it; nothing is changed until the first verb. */
export function openFirewall({ backend, instance, state, log }: FirewallOptions): Firewall {
  if (backend === 'iptables') return new Iptables({ instance, state, log })
  return new Nftables({ table: `gantry-${instance}`, state, log })
}
