/** The life of an attachment: written down, made, undone. */
import { isDeepStrictEqual } from 'node:util'
import { alreadyExists, failedPrecondition, invalidArgument, messageOf, notFound } from '#api/errors/errors.ts'
import type { Logger } from '#api/log/log.ts'
import type { Firewall, PublishedPort } from '#sdk/iptables-wrapper/firewall.ts'
import type { AddRequest, CheckRequest, PortMapping, Result } from '#sdk/network.ts'
import { formatIpv4 } from '#sdk/network-addresses.ts'
import type { PluginEnv } from '#sdk/plugin.ts'
import { findLink, type LinkInfo } from '#sdk/rtnetlink/rtnetlink.ts'
import { chooseAddress, macFor } from './addresses.ts'
import type { BridgeConfig } from './config.ts'
import { checkPlugged, type EndpointPlan, type OpenNamespace, openNamespace, plug, unplug } from './endpoint.ts'
import type { HostPorts, TakenPort } from './host-ports.ts'
import { type AttachmentRow, type Departure, describe, type Ledger, type NetworkRow } from './ledger.ts'
import { vethName } from './names.ts'
import type { BridgeNetworks } from './networks.ts'
import { readOptions } from './options.ts'
import { mappingOf, resultOf } from './result.ts'
import { planOf } from './subnets.ts'

export interface AttachmentsParts {
  readonly env: PluginEnv<BridgeConfig>
  readonly ledger: Ledger
  readonly firewall: Firewall
  readonly networks: BridgeNetworks
  readonly hostPorts: HostPorts
}

export class Attachments {
  readonly #instance: string
  readonly #log: Logger
  readonly #ledger: Ledger
  readonly #firewall: Firewall
  readonly #networks: BridgeNetworks
  readonly #hostPorts: HostPorts
  /** Removals under way, by link. */
  readonly #removals = new Map<string, Promise<void>>()

  constructor({ env, ledger, firewall, networks, hostPorts }: AttachmentsParts) {
    this.#instance = env.instance
    this.#log = env.log
    this.#ledger = ledger
    this.#firewall = firewall
    this.#networks = networks
    this.#hostPorts = hostPorts
  }

  /** See `NetworkPlugin.add`. One call per attachment at a time. */
  async add(request: AddRequest): Promise<Result> {
    const network = this.#networks.get(request.networkId)
    using namespace = openNamespace(request.netnsPath)
    const known = this.#ledger.attachment(request)
    if (known) refuseChange(known, request)
    const row = known ?? (await this.#reserve(request, network))
    try {
      const plan = endpointPlan(row, network)
      // The firewall's side and the link's side have nothing to do with each other.
      const [bridge] = await all([this.#plug(plan, namespace), this.#firewall.publish(row.ports)])
      return resultOf(plan, bridge)
    } catch (error) {
      await this.#rollBack(row, error)
      throw error
    }
  }

  /** See `NetworkPlugin.del`. Answers before the link is gone. */
  async del(row: AttachmentRow): Promise<void> {
    await this.#firewall.unpublish(row.ports)
    this.#hostPorts.release(row.ports)
    void this.#remove(this.#ledger.detach(row))
  }

  async check({ networkId, containerId, interfaceName, netnsPath }: CheckRequest): Promise<void> {
    const row = this.#ledger.attachment({ networkId, containerId, interfaceName })
    if (row === undefined)
      throw notFound(`attachment of container ${containerId} (${interfaceName}) to network ${networkId}`)
    const network = this.#networks.get(networkId)
    await checkPlugged(endpointPlan(row, network), await findLink(network.bridge), netnsPath || row.netnsPath)
    const open = await this.#firewall.ports()
    const closed = row.ports.find(port => !open.some(other => isDeepStrictEqual(port, other)))
    if (closed)
      throw failedPrecondition(
        `attachment of ${containerId}: host port ${closed.hostPort}/${closed.protocol} is not open`,
      )
  }

  /** Takes up removals that an earlier process left. */
  resumeRemovals(): void {
    for (const departure of this.#ledger.departures()) void this.#remove(departure)
  }

  /** Resolves when no removal is under way. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#removals.values())
  }

  async #reserve(request: AddRequest, { network }: NetworkRow): Promise<AttachmentRow> {
    if (network.internal && request.ports.length > 0)
      throw invalidArgument(`ports: network "${network.name}" is internal and publishes none`)
    const { hostBindingIpv4 } = readOptions(network.options)
    const mappings = request.ports.map(port => (port.hostIp === '' ? { ...port, hostIp: hostBindingIpv4 } : port))
    const ports = await this.#hostPorts.take(mappings, describe(request))
    try {
      return await this.#record(request, ports)
    } catch (error) {
      this.#hostPorts.release(ports)
      throw error
    }
  }

  /** Chooses the address and writes all down, with no wait between: another add must not choose the same. */
  async #record(request: AddRequest, ports: readonly TakenPort[]): Promise<AttachmentRow> {
    for (;;) {
      const network = this.#networks.get(request.networkId)
      const address = chooseAddress(this.#ledger, network, planOf(network.network), request.addresses)
      const leaving = this.#ledger
        .departures()
        .find(row => row.networkId === request.networkId && row.address === address)
      if (leaving === undefined) {
        const row = this.#rowFor(request, network, address, ports)
        this.#ledger.attach(row, network)
        return row
      }
      await this.#remove(leaving)
    }
  }

  #rowFor(request: AddRequest, { network }: NetworkRow, address: number, ports: readonly TakenPort[]): AttachmentRow {
    const { networkId, containerId, interfaceName, namespace, netnsPath } = request
    const mac = request.mac.toLowerCase() || macFor(address)
    const twin = this.#ledger.attachments(networkId).find(row => row.mac === mac)
    if (twin) throw alreadyExists(`MAC ${mac} of network "${network.name}" belongs to container ${describe(twin)}`)
    return {
      networkId,
      containerId,
      interfaceName,
      namespace,
      netnsPath,
      address,
      mac,
      hostLink: vethName(this.#instance, this.#ledger.nextSequence()),
      defaultRoute: request.defaultRoute && !network.internal,
      ports: ports.map(port => ({ ...port, containerAddress: address })),
    }
  }

  async #plug(plan: EndpointPlan, namespace: OpenNamespace): Promise<LinkInfo> {
    const bridge = await this.#networks.bridge(plan.network)
    try {
      await plug(plan, bridge.index, namespace)
      return bridge
    } catch (error) {
      const there = await findLink(bridge.name)
      if (there?.index === bridge.index) throw error
      this.#log.warn({ bridge: bridge.name }, 'bridge was removed by others, making it again')
      this.#networks.forget(plan.network.network.id)
      const again = await this.#networks.bridge(plan.network)
      await plug(plan, again.index, namespace)
      return again
    }
  }

  /** After a failed add nothing is left; what cannot be undone now stays a departure. */
  async #rollBack(row: AttachmentRow, reason: unknown): Promise<void> {
    this.#log.info({ container: row.containerId, reason: messageOf(reason) }, 'attachment failed, undoing it')
    await this.#firewall.unpublish(row.ports).catch(error => this.#log.error({ err: error }, 'closing ports failed'))
    this.#hostPorts.release(row.ports)
    await this.#remove(this.#ledger.detach(row))
  }

  /** Never rejects: what fails stays written down for the next start. */
  #remove(departure: Departure): Promise<void> {
    const { hostLink } = departure
    const known = this.#removals.get(hostLink)
    if (known) return known
    const removal = unplug(hostLink)
      .then(() => this.#ledger.departed(departure))
      .catch(error => this.#log.error({ err: error, link: hostLink }, 'removing a link failed'))
      .finally(() => this.#removals.delete(hostLink))
    this.#removals.set(hostLink, removal)
    return removal
  }
}

function endpointPlan(row: AttachmentRow, network: NetworkRow): EndpointPlan {
  const isolated = !readOptions(network.network.options).intraTraffic
  return { row, network, addresses: planOf(network.network), isolated }
}

/** A repeat must ask for what is there: ALREADY_EXISTS otherwise. */
function refuseChange(row: AttachmentRow, { addresses, mac, ports }: AddRequest): void {
  const differs = (what: string) =>
    alreadyExists(`container ${describe(row)} is attached already, with ${what}; detach it first`, { bare: true })
  if (addresses.length > 0 && !isDeepStrictEqual(addresses, [formatIpv4(row.address)]))
    throw differs(`address ${formatIpv4(row.address)}`)
  if (mac !== '' && mac.toLowerCase() !== row.mac) throw differs(`MAC ${row.mac}`)
  const same = ports.length === row.ports.length && ports.every((port, i) => isSamePort(port, row.ports[i]))
  if (!same) throw differs(`ports ${JSON.stringify(row.ports.map(mappingOf))}`)
}

function isSamePort(asked: PortMapping, made: PublishedPort | undefined): boolean {
  if (made === undefined) return false
  const { protocol, containerPort, hostPort } = made
  return (
    asked.protocol === protocol &&
    asked.containerPort === containerPort &&
    (asked.hostPort === 0 || asked.hostPort === hostPort)
  )
}

/** Both, and when one fails only after the other has ended: what is undone then must not be still in the making. */
async function all<A, B>(promises: [Promise<A>, Promise<B>]): Promise<[A, B]> {
  await Promise.allSettled(promises)
  return await Promise.all(promises)
}
