/**
 * The host's packet filter, as a bridge network needs it: one interface, whichever of the kernel's two faces is used.
 *
 * ## What is in force
 * A *firewall* belongs to one gantryd instance and touches only tables named after it. For each *network* (a bridge
 * and its subnet):
 * - packets from the subnet that leave by another link get the host's address (masquerade), unless told otherwise;
 * - into the bridge come: answers, traffic within the bridge, and new connections to a published port. Anything else is
 *   dropped: other networks and other hosts reach a container only by its published ports;
 * - an *internal* network exchanges packets with nobody, published ports included;
 * - nothing from a bridge reaches the host's 127.0.0.0/8, though `route_localnet` is on there for the ports' sake.
 *
 * A *published port* turns connections to a port of the host (of one of its addresses, or of all of a family) into
 * connections to a container: from other hosts, from containers and from the host itself, through 127.0.0.1 too
 * (not ::1, which the kernel cannot translate: the caller listens there). The client's address is kept, except where
 * answers would not find back: from loopback addresses, and from the container's own network.
 *
 * Accepting here overrides nobody: a host's own rules that drop forwarded packets (ufw, firewalld) stay in force.
 *
 * ## Cost
 * All of it is sets and maps: what a packet costs, and what a change costs, does not grow with networks or ports.
 * No verb but `restore` starts a process.
 *
 * ## Who remembers
 * The caller. It passes `state` when it opens a firewall; whenever the tables are found missing or different
 * (`nft flush ruleset`, a reboot), everything is made anew from it, in one transaction.
 */
import type { Leftover } from '../leftover.ts'
import { anyAddress, familyOf, type IpSubnet } from '../network-addresses.ts'

export type TransportProtocol = 'tcp' | 'udp' | 'sctp'

export interface FirewallNetwork {
  /** Link name of the bridge, unique in a firewall. */
  readonly bridge: string
  readonly subnets: readonly IpSubnet[]
  readonly internal: boolean
  readonly masquerade: boolean
  /** Containers of the network reach one another. */
  readonly intraTraffic: boolean
}

/** One port, or a range of them, of one family. */
export interface PublishedPort {
  readonly protocol: TransportProtocol
  /** Address of the host; `0.0.0.0` or `::`: all of the family. */
  readonly hostAddress: string
  readonly hostPort: number
  readonly containerAddress: string
  readonly containerPort: number
  /** Consecutive ports on both sides; 1: a single one. */
  readonly count: number
}

export function isWildcard({ hostAddress }: Pick<PublishedPort, 'hostAddress'>): boolean {
  return hostAddress === anyAddress(familyOf(hostAddress))
}

/** Ranges as single ports. */
export function singlePorts(ports: readonly PublishedPort[]): PublishedPort[] {
  return ports.flatMap(port =>
    port.count === 1
      ? port
      : Array.from({ length: port.count }, (_, i) => ({
          ...port,
          hostPort: port.hostPort + i,
          containerPort: port.containerPort + i,
          count: 1,
        })),
  )
}

export interface FirewallState {
  readonly networks: readonly FirewallNetwork[]
  readonly ports: readonly PublishedPort[]
}

/** A port of the host that somebody else's firewall of ours publishes. */
export interface ForeignPort {
  /** Its table, which names the instance. */
  readonly table: string
  readonly port: PublishedPort
}

/** Every verb is idempotent and atomic: all of its changes, or none. */
export interface Firewall {
  /** Puts `state` in force, whatever is there now; connections that exist go on. UNAVAILABLE says what the host lacks. */
  restore(): Promise<void>
  addNetwork(network: FirewallNetwork): Promise<void>
  removeNetwork(network: FirewallNetwork): Promise<void>
  /** Opens ports; when it answers, connections get through. A key that leads elsewhere in our table is overruled. */
  publish(ports: readonly PublishedPort[]): Promise<void>
  /** Closes ports: no new connections. (Existing ones end with their container.) */
  unpublish(ports: readonly PublishedPort[]): Promise<void>
  /** The published ports that are in force, each a single one. */
  ports(): Promise<PublishedPort[]>
  /** What other gantryd instances on this host publish; seldom anything. */
  foreignPorts(): Promise<ForeignPort[]>
  /**
   * From now on what others take away (`nft flush ruleset`) is put in force again, some 20 ms later, with a line in the
   * log; until the answer is disposed of.
   */
  watch(): Disposable
  /** What is in force under our name and follows from nothing in `state`. Rules and sets of others are not looked at. */
  leftovers(): Promise<Leftover[]>
  /** Takes all of it away. */
  remove(): Promise<void>
}
