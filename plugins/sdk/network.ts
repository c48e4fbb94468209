/**
 * What a network plugin is, for its author.
 *
 * The core keeps names, identities and wishes; a network plugin keeps what it hands out: subnets, addresses, links,
 * firewall rules. A **network** has an id chosen by the core and lives from `createNetwork` to `removeNetwork`. An
 * **attachment** joins one container to one network by one interface, and lives from `add` to `del`; it is named by
 * (networkId, containerId, interfaceName). Result types are CNI's (spec 1.1).
 *
 *     network = await p.createNetwork({ id, name: 'blue', subnets: [], … })    // comes back with a subnet
 *     result = await p.add({ networkId: id, containerId: 'c1', interfaceName: 'eth0', netnsPath, ports, … })
 *     …traffic flows…
 *     await p.del({ networkId: id, containerId: 'c1', interfaceName: 'eth0', netnsPath })
 *     await p.removeNetwork(id)
 *
 * **Repeats.** Every verb may be called again: the core repeats one whose answer it did not see, and repeats
 * `createNetwork` for each network after the plugin's start. A repeat answers the same and makes missing pieces again.
 *
 * **Crashes.** What is handed out (an address, a port) is written down before the kernel or the caller hears of it. A
 * verb cut short by SIGKILL is finished by its repeat or undone by `gc`, which the core calls with all it knows.
 *
 * **Undo is lenient.** `del` and `removeNetwork` of what is not there succeed: the namespace, the link, the whole host may
 * have gone meanwhile.
 *
 * **Speed.** `add` is on the path of a container's start and `del` on that of its end: start no process there, and leave
 * slow kernel work behind the answer.
 */
import type {
  AddRequest,
  Attachment,
  CheckRequest,
  DelRequest,
  Network,
  Result,
  TraceRequest,
  TraceResponse,
  UpdateRequest,
} from '#api/gen/gantry/network/v1/network.ts'

export type {
  AddRequest,
  Attachment,
  CheckRequest,
  DelRequest,
  Interface,
  IpConfig,
  Network,
  PortMapping,
  Result,
  Subnet,
  TraceRequest,
  TraceResponse,
  TraceStep,
  UpdateRequest,
} from '#api/gen/gantry/network/v1/network.ts'

export interface GcOptions {
  readonly dryRun?: boolean
}

/**
 * Requests are checked before they come here (network-requests.ts): ids and interface names are well-formed, ports and
 * addresses have the shape of such.
 */
export interface NetworkPlugin {
  /**
   * Keys of `AddRequest.options` that it heeds. Of the others those that begin with `gantry.` are refused before it is
   * asked; foreign ones (Docker's driver options) come along and mean nothing.
   */
  readonly endpointOptions?: readonly string[]

  /**
   * Makes a network usable; answers it with every choice made that the request left open.
   * ALREADY_EXISTS: the id is in use with a different configuration. FAILED_PRECONDITION: a subnet overlaps another
   * network or a route of the host. RESOURCE_EXHAUSTED: no free subnet. INVALID_ARGUMENT: an option nobody knows.
   */
  createNetwork(network: Network): Promise<Network>

  /** Unknown: success. FAILED_PRECONDITION while attachments exist, naming them. */
  removeNetwork(networkId: string): Promise<void>

  listNetworks(): Promise<Network[]>

  /**
   * NOT_FOUND: unknown network, or no namespace at `netnsPath`. ALREADY_EXISTS: an address, MAC or port is
   * taken, and by whom. RESOURCE_EXHAUSTED: the subnet is full. On any error nothing of the attachment is left.
   */
  add(request: AddRequest): Promise<Result>

  /** Unknown attachment or network, and a missing namespace: success. */
  del(request: DelRequest): Promise<void>

  /**
   * Opens and closes ports, replaces names and options. Absent: the plugin cannot (NOT_IMPLEMENTED).
   * NOT_FOUND: no such attachment. ALREADY_EXISTS: a port is taken. FAILED_PRECONDITION: the network publishes none.
   */
  update?(request: UpdateRequest): Promise<Result>

  /** Sends one packet and tells what became of it. Absent: the plugin cannot (NOT_IMPLEMENTED). NOT_FOUND: no such attachment. */
  trace?(request: TraceRequest): Promise<TraceResponse>

  /** Compares with the kernel's state, changes nothing. FAILED_PRECONDITION names the difference; NOT_FOUND: no such attachment. */
  check(request: CheckRequest): Promise<void>

  /** UNAVAILABLE with the reason when `add` could not be served now. */
  status(): Promise<void>

  /**
   * Removes the network's attachments that are not in `valid`, and whatever else of the plugin belongs to nobody.
   * Answers what was removed, a line each; with `dryRun` what would be, and nothing is touched.
   */
  gc(networkId: string, valid: readonly Attachment[], options?: GcOptions): Promise<string[]>

  close(): Promise<void>
}
