/** The lives of macvlan networks and their attachments. */
import { isDeepStrictEqual } from 'node:util'
import { KeyedLock } from '#api/concurrency/keyed-lock.ts'
import { alreadyExists, failedPrecondition, invalidArgument, notFound } from '#api/errors/errors.ts'
import type { Logger } from '#api/log/log.ts'
import type {
  AddRequest,
  Attachment,
  CheckRequest,
  DelRequest,
  Network,
  NetworkPlugin,
  Result,
  UpdateRequest,
} from '#sdk/network.ts'
import { anyAddress, familyOf, formatSubnet, parseAddress, subnetOf } from '#sdk/network-addresses.ts'
import type { AttachmentKey } from '#sdk/network-records.ts'
import { chooseAddresses, completedSubnets, macFor } from './allocation.ts'
import { checkPlugged, plannedAddresses, plug, unplug } from './endpoint.ts'
import { readOptions } from './options.ts'
import { findParent } from './parent.ts'
import { type AttachmentRow, describe, type NetworkRow, type Records } from './records.ts'

export interface MacvlanNetworksParts {
  readonly records: Records
  readonly log: Logger
}

export class MacvlanNetworks implements NetworkPlugin {
  readonly #records: Records
  readonly #log: Logger
  readonly #lock = new KeyedLock()

  constructor({ records, log }: MacvlanNetworksParts) {
    this.#records = records
    this.#log = log
  }

  createNetwork(asked: Network): Promise<Network> {
    return this.#lock.run('networks', async () => {
      const known = this.#records.network(asked.id)
      if (known && !isDeepStrictEqual(asked, known.asked) && !isDeepStrictEqual(asked, known.network))
        throw alreadyExists(`network ${asked.id} with a different configuration`)
      const { parent, mode } = readOptions(asked)
      const row = known ?? { asked, network: { ...asked, subnets: completedSubnets(asked) } }
      if (known === undefined) this.#refuseSharing(asked, parent, mode)
      const link = await findParent(parent)
      const whole = { ...row, network: { ...row.network, mtu: row.network.mtu || link.mtu } }
      if (known === undefined) this.#records.putNetwork(whole)
      return whole.network
    })
  }

  removeNetwork(networkId: string): Promise<void> {
    return this.#lock.run('networks', async () => {
      const row = this.#records.network(networkId)
      if (row === undefined) return
      const attached = this.#records.attachments(networkId)
      if (attached.length > 0)
        throw failedPrecondition(
          `network "${row.network.name}" has ${attached.length} containers attached: ${attached.slice(0, 10).map(describe).join(', ')}`,
        )
      this.#records.removeNetwork(networkId)
    })
  }

  async listNetworks(): Promise<Network[]> {
    return this.#records.networks().map(({ network }) => network)
  }

  add(request: AddRequest): Promise<Result> {
    return this.#lock.run(lockOf(request), async () => {
      const { network } = this.#network(request.networkId)
      const known = this.#records.attachment(request)
      if (known) refuseChange(known, request)
      const row = known ?? this.#admit(request, network)
      try {
        const { index } = await findParent(readOptions(network).parent)
        await plug(row, network, index)
      } catch (error) {
        await this.#detach(row).catch(cause => this.#log.error({ err: cause }, 'undoing a failed attachment failed'))
        throw error
      }
      return resultOf(row, network)
    })
  }

  del(request: DelRequest): Promise<void> {
    return this.#lock.run(lockOf(request), async () => {
      const row = this.#records.attachment(request)
      if (row) await this.#detach(row)
    })
  }

  /** Names are nobody's here, so that a renamed container has nothing to change. */
  async update(request: UpdateRequest): Promise<Result> {
    const row = this.#records.attachment(request)
    if (row === undefined)
      throw notFound(`attachment of container ${request.containerId} to network ${request.networkId}`)
    if (request.publish.length > 0) throw noPorts()
    return resultOf(row, this.#network(row.networkId).network)
  }

  async check(request: CheckRequest): Promise<void> {
    const row = this.#records.attachment(request)
    if (row === undefined)
      throw notFound(`attachment of container ${request.containerId} to network ${request.networkId}`)
    await checkPlugged(row, this.#network(row.networkId).network, request.netnsPath || row.netnsPath)
  }

  async status(): Promise<void> {}

  /** Links live in the containers' namespaces and end with them: besides attachments there is nothing to be left over. */
  async gc(networkId: string, valid: readonly Attachment[], { dryRun = false } = {}): Promise<string[]> {
    const keep = new Set(valid.map(attachment => lockOf({ ...attachment, networkId })))
    const ended = this.#records.attachments(networkId).filter(row => !keep.has(lockOf(row)))
    if (!dryRun) for (const row of ended) await this.#lock.run(lockOf(row), () => this.#detach(row))
    return ended.map(row => `attachment of ${describe(row)}`)
  }

  close(): Promise<void> {
    return this.#records.close()
  }

  /** Chooses and writes down with no wait between: another add must not choose the same. */
  #admit(request: AddRequest, network: Network): AttachmentRow {
    const { networkId, containerId, interfaceName, netnsPath } = request
    if (request.ports.length > 0) throw noPorts()
    const held = this.#records.attachments(networkId)
    const addresses = chooseAddresses(network, request.addresses, held)
    const mac = request.mac.toLowerCase() || macFor(addresses[0] ?? '0.0.0.0')
    const twin = held.find(row => row.mac === mac)
    if (twin) throw alreadyExists(`MAC ${mac} of network "${network.name}" belongs to container ${describe(twin)}`)
    const row: AttachmentRow = {
      ...{ networkId, containerId, interfaceName, netnsPath, addresses, mac },
      defaultRoute: request.defaultRoute && !network.internal,
      metric: request.defaultRouteMetric,
    }
    this.#records.putAttachment(row)
    return row
  }

  /** The link goes first: as long as it is there, its address is not another's. */
  async #detach(row: AttachmentRow): Promise<void> {
    await unplug(row)
    this.#records.removeAttachment(row)
  }

  /** The kernel has one mode for each parent that passes through, and nobody beside it. */
  #refuseSharing(asked: Network, parent: string, mode: string): void {
    const other = this.#records.networks().find(({ network }) => {
      const own = readOptions(network)
      return own.parent === parent && (own.mode === 'passthru' || mode === 'passthru')
    })
    if (other)
      throw failedPrecondition(
        `network "${asked.name}": parent "${parent}" belongs to network "${other.network.name}", and passthru shares with nobody`,
      )
  }

  #network(id: string): NetworkRow {
    const row = this.#records.network(id)
    if (row === undefined) throw notFound(`network ${id}`)
    return row
  }
}

/** A repeat must ask for what is there: ALREADY_EXISTS otherwise. */
function refuseChange(row: AttachmentRow, { addresses, mac }: AddRequest): void {
  const fits = addresses.every(address => row.addresses.includes(parseAddress(address)))
  if (fits && (mac === '' || mac.toLowerCase() === row.mac)) return
  const what = `address ${row.addresses.join(', ')} and MAC ${row.mac}`
  throw alreadyExists(`container ${describe(row)} is attached already, with ${what}; detach it first`, { bare: true })
}

function noPorts() {
  return invalidArgument('ports: a container on a macvlan network is reached at its own address, publish none')
}

function lockOf({ networkId, containerId, interfaceName }: AttachmentKey): string {
  return `${networkId} ${containerId} ${interfaceName}`
}

function resultOf(row: AttachmentRow, network: Network): Result {
  const planned = plannedAddresses(row, network)
  const { interfaceName: name, mac, netnsPath: sandbox, metric } = row
  const routed = row.defaultRoute ? planned : []
  return {
    interfaces: [{ name, mac, mtu: network.mtu, sandbox, socketPath: '', pciId: '' }],
    ips: planned.map(({ address, prefix, gateway }) => ({ address: `${address}/${prefix}`, gateway, interface: 0 })),
    routes: routed.map(({ gateway }) => ({
      dst: formatSubnet(subnetOf(anyAddress(familyOf(gateway)), 0)),
      ...{ gw: gateway, mtu: 0, advmss: 0, priority: metric, table: 0, scope: 0 },
    })),
    ports: [],
  }
}
