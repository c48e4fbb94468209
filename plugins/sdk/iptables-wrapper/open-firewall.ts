/** Chooses how to speak to the packet filter. */
import { notImplemented } from '#api/errors/errors.ts'
import type { Logger } from '#api/log/log.ts'
import { EgressFilter, type EgressGuard } from './egress/egress-filter.ts'
import type { Firewall, FirewallState } from './firewall.ts'
import { Nftables } from './nftables/nftables.ts'

export const firewallBackends = ['nftables', 'iptables'] as const
export type FirewallBackend = (typeof firewallBackends)[number]

export interface FirewallOptions {
  readonly backend: FirewallBackend
  /** Eight hexadecimal digits that keep our tables apart from another gantryd's. */
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
  return backend === 'iptables' ? undefined : new EgressFilter({ table: `gantry-${instance}-egress`, state, log })
}

/** Opens it; nothing is changed until the first verb. NOT_IMPLEMENTED: the `iptables` backend, so far. */
export function openFirewall({ backend, instance, state, log }: FirewallOptions): Firewall {
  if (backend === 'iptables')
    throw notImplemented('firewall backend "iptables": hosts without nftables are not supported yet, use "nftables"')
  return new Nftables({ table: `gantry-${instance}`, state, log })
}
