/**
 * Networks, and who is attached to them: the record of both, in front of the network plugins.
 *
 * A *network* has an id (64 hexadecimal digits, never reused), a name unique in its tenant namespace, and a *driver*:
 * the plugin that makes it. An *attachment* joins one container to one network by one interface; the plugin gives it
 * addresses and publishes its ports. Names and wishes are recorded here, addresses and kernel objects are the plugin's.
 *
 * Three networks are always there: `bridge`, `host` and `none`. Each is one network per gantryd, seen from every
 * tenant namespace under the same id (as nerdctl's default network is): containers of two tenants on `bridge` reach
 * each other, tenants who mind make networks of their own. What `attachments` shows is the caller's namespace alone.
 * They are made at their first use, all others when they are created.
 *
 * ```ts
 * const wishes = [{ network: 'bridge', ports: [{ protocol: 'tcp', hostPort: 8080, containerPort: 80, hostIp: '' }] }]
 * if (await networks.sharesHost(ns, wishes)) …                     // no namespace of its own: netnsPath is ''
 * const made = await networks.attach(ns, 'c1', '/run/gantry/netns/c1', wishes)
 * made[0].result.ips[0].address                                    // '172.30.0.2/24'
 * await networks.detach(ns, 'c1')
 * ```
 *
 * ## When a process dies in between
 * An attachment is recorded before its plugin is asked, and forgotten after the plugin said it is gone. Killed between,
 * `attach` may be repeated, `detach` always works, and `reconcile` (at start) tells every plugin what is to stay.
 */
import type {
  Dns,
  Network,
  PortMapping,
  Result,
  Subnet,
  TraceRequest,
  TraceResponse,
} from '#api/gen/gantry/network/v1/network.ts'
import type { Timestamp } from '#api/gen/google/protobuf/timestamp.ts'

export type { Dns, Network, PortMapping, Result, Subnet } from '#api/gen/gantry/network/v1/network.ts'

export { Connections, type ContainerNetworks } from './connections.ts'
export { createNetworks } from './local-networks.ts'
export { networksService } from './service.ts'
export { collectPins } from './stray-pins.ts'

/** What a caller says of a network to be made. */
export interface NetworkSpec {
  /** An identifier (api/types), unique in the namespace. */
  readonly name: string
  /** Plugin id; default `bridge`. */
  readonly driver?: string
  /** Empty: the plugin chooses one. */
  readonly subnets?: readonly Subnet[]
  /** Bytes; 0: the plugin chooses. */
  readonly mtu?: number
  readonly internal?: boolean
  readonly options?: Readonly<Record<string, string>>
  readonly labels?: Readonly<Record<string, string>>
  readonly disableIpv4?: boolean
  readonly disableIpv6?: boolean
}

export interface NetworkRecord {
  /** As the plugin answered it; as asked for while the plugin has not been needed yet. */
  readonly network: Network
  readonly driver: string
  readonly createdAt: Timestamp
  /** Of the asking tenant namespace. */
  readonly attachments: readonly AttachmentRecord[]
}

/** One wish: this container, on that network. */
export interface AttachmentRequest {
  /** Name or id. */
  readonly network: string
  /** Default `eth0`, `eth1` … in the order of the requests. */
  readonly interfaceName?: string
  /** Without prefix length, at most one for each family; empty: the plugin chooses. */
  readonly addresses?: readonly string[]
  readonly mac?: string
  readonly ports?: readonly PortMapping[]
  /** Further names in this network, beside the container's id; the first is what a PTR query answers. */
  readonly aliases?: readonly string[]
  /** The network with the highest gives the default route; among equals the one that came first. -900 to 900. */
  readonly gatewayPriority?: number
  /** Names that this container alone uses: alias to the name of another container of the network. */
  readonly links?: Readonly<Record<string, string>>
  /** The driver's options for this endpoint, such as `gantry.network.egress`. */
  readonly options?: Readonly<Record<string, string>>
}

/** What a container says to all of its networks. */
export interface ContainerWishes {
  /** Its own name servers and search domains. */
  readonly dns?: Dns | undefined
  /** Its name; an alias in every network, the first one. */
  readonly name?: string
}

export interface AttachOptions {
  readonly signal?: AbortSignal | undefined
  readonly wishes?: ContainerWishes
}

/** An attachment as it was made. */
export interface AttachmentRecord {
  readonly networkId: string
  readonly networkName: string
  readonly driver: string
  readonly containerId: string
  readonly interfaceName: string
  /** Path of the kernel network namespace; empty on a network that has none (`host`). */
  readonly netnsPath: string
  /** As asked for. */
  readonly aliases: readonly string[]
  /** All by which it is found in the network, its own first. */
  readonly names: readonly string[]
  readonly gatewayPriority: number
  readonly links: Readonly<Record<string, string>>
  readonly options: Readonly<Record<string, string>>
  /** Interfaces, addresses, routes, and the ports with the chosen host ports. */
  readonly result: Result
}

/** Where a packet is sent. */
export type TraceTarget = Pick<TraceRequest, 'destination' | 'protocol' | 'port'>

/** Names a container wherever it lives. */
export interface ContainerRef {
  readonly namespace: string
  readonly containerId: string
}

export interface CollectOptions {
  /** Whether the container is there, or may be in the making: what it has stays. */
  isAlive(container: ContainerRef): Promise<boolean>
  /** Only tell. */
  readonly dryRun: boolean
}

export interface Networks {
  /**
   * Makes a network, ready for use when it answers. ALREADY_EXISTS: the name is taken. NOT_FOUND: no such driver.
   * INVALID_ARGUMENT names the field. FAILED_PRECONDITION, RESOURCE_EXHAUSTED: the plugin's words about subnets.
   */
  create(ns: string, spec: NetworkSpec): Promise<NetworkRecord>

  /** By name, id, or a prefix of the id that fits only one. NOT_FOUND; INVALID_ARGUMENT when a prefix fits several. */
  get(ns: string, network: string): Promise<NetworkRecord>

  /** The three built-in ones first, then by name. */
  list(ns: string): Promise<NetworkRecord[]>

  /** Ids of the same by their names: without what is attached to them. */
  ids(ns: string): Record<string, string>

  /** NOT_FOUND; FAILED_PRECONDITION while containers are attached (named), and for a built-in one. */
  remove(ns: string, network: string): Promise<void>

  /**
   * True when a container with these wishes lives in the host's network namespace (it is on the `host` network, which
   * then must be its only one: INVALID_ARGUMENT otherwise). NOT_FOUND: no such network.
   */
  sharesHost(ns: string, requests: readonly AttachmentRequest[]): Promise<boolean>

  /**
   * Joins a container to networks, side by side; all or none. When it answers, addresses are up and ports are open.
   * Repeated with the same requests: success, with the same addresses.
   * `netnsPath` is the pinned namespace, empty when {@link sharesHost}.
   * NOT_FOUND: a network. ALREADY_EXISTS: an address or host port is taken, naming the holder.
   * INVALID_ARGUMENT, RESOURCE_EXHAUSTED, UNAVAILABLE: the plugin's words.
   */
  attach(
    ns: string,
    containerId: string,
    netnsPath: string,
    requests: readonly AttachmentRequest[],
    options?: AttachOptions,
  ): Promise<AttachmentRecord[]>

  /**
   * Joins a container that has its namespace already to one more network, and leaves the others alone. Repeated: the
   * same answer. Errors of {@link attach}; FAILED_PRECONDITION: the container uses the host's network, or the network is
   * `host`.
   */
  join(
    ns: string,
    containerId: string,
    netnsPath: string,
    request: AttachmentRequest,
    options?: AttachOptions,
  ): Promise<AttachmentRecord>

  /**
   * Takes a container off all its networks (or the one named): ports closed, addresses free. Works when the namespace
   * is gone, and when nothing was attached. A plugin that cannot be reached: UNAVAILABLE, and the attachment stays recorded as
   * leaving, to be finished by the next `detach`, `attach` of the container or `reconcile`.
   */
  detach(ns: string, containerId: string, network?: string): Promise<void>

  /**
   * Opens ports of an attached container, on the network named or the one that gives its default route; answers all
   * that are open then. ALREADY_EXISTS: a host port is taken, and by whom. FAILED_PRECONDITION: not attached.
   */
  publish(
    ns: string,
    containerId: string,
    network: string | undefined,
    ports: readonly PortMapping[],
  ): Promise<PortMapping[]>

  /** Closes ports (none named: all), on the network named or all of them; answers what is still open. */
  unpublish(
    ns: string,
    containerId: string,
    network: string | undefined,
    ports: readonly PortMapping[],
  ): Promise<PortMapping[]>

  /**
   * Changes options of a running container's endpoint, on the network named or all of its networks; an empty value takes one
   * away. INVALID_ARGUMENT: the plugin does not know one. Not attached: nothing.
   */
  setOptions(
    ns: string,
    containerId: string,
    network: string | undefined,
    options: Readonly<Record<string, string>>,
  ): Promise<void>

  /**
   * What becomes of one packet of a running container, by the interface with its default route. FAILED_PRECONDITION: it is
   * on no network that leads anywhere.
   */
  trace(ns: string, containerId: string, target: TraceTarget): Promise<TraceResponse>

  /** Compares a network's attachments with the kernel; a sentence for each difference. */
  check(ns: string, network: string): Promise<string[]>

  /** Its networks know a renamed container by its new name. A plugin that cannot (be reached) is logged. Not attached: nothing. */
  rename(ns: string, containerId: string, name: string): Promise<void>

  /** What a container is attached to, in the order of its interfaces; empty for none or an unknown container. */
  attachments(ns: string, containerId: string): Promise<AttachmentRecord[]>

  /**
   * Finds what belongs to nothing, in the records and with the plugins, and removes it; a line each. A plugin that cannot be
   * reached is logged and left for the next time.
   */
  collect(options: CollectOptions): Promise<string[]>

  /**
   * At start: brings plugins in line with the records. Attachments of containers that are not in `alive` go; networks
   * with attachments get their kernel objects again. A plugin that fails is logged and left for its next use.
   */
  reconcile(alive: readonly ContainerRef[]): Promise<void>
}
