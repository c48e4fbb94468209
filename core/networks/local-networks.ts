import { KeyedLock } from '#api/concurrency/keyed-lock.ts'
import { failedPrecondition, internal, invalidArgument, messageOf } from '#api/errors/errors.ts'
import type { TraceResponse } from '#api/gen/gantry/network/v1/network.ts'
import type { Logger } from '#api/log/log.ts'
import { validateIdentifier, validateLabels } from '#api/types/identifiers.ts'
import type { Metadata } from '#core/metadata/metadata.ts'
import { Attacher, backendId, metricOf, namesOf } from './attacher.ts'
import type { NetworkBackends } from './backend.ts'
import { isBuiltIn } from './built-in.ts'
import { collect } from './collect.ts'
import { type EndpointOptions, mergedOptions } from './endpoint-options.ts'
import { MadeNetworks } from './made-networks.ts'
import { type AttachmentRow, type NetworkRow, NetworkStore } from './network-store.ts'
import type {
  AttachmentRecord,
  AttachmentRequest,
  AttachOptions,
  CollectOptions,
  ContainerRef,
  NetworkRecord,
  NetworkSpec,
  Networks,
  PortMapping,
  TraceTarget,
} from './networks.ts'

export interface LocalNetworksParts {
  readonly metadata: Metadata
  readonly backends: NetworkBackends
  readonly logger: Logger
}

/** Networks in the metadata store, made by plugins. Nothing is asked of a plugin until one is used. */
export function createNetworks(parts: LocalNetworksParts): Networks {
  return new LocalNetworks(parts)
}

class LocalNetworks implements Networks {
  readonly #store: NetworkStore
  readonly #made: MadeNetworks
  readonly #attacher: Attacher
  readonly #logger: Logger
  /** By container. */
  readonly #lock = new KeyedLock()

  constructor({ metadata, backends, logger }: LocalNetworksParts) {
    this.#store = new NetworkStore(metadata)
    this.#made = new MadeNetworks(this.#store, backends)
    this.#attacher = new Attacher({ store: this.#store, made: this.#made, logger })
    this.#logger = logger
  }

  async create(ns: string, spec: NetworkSpec): Promise<NetworkRecord> {
    validateIdentifier(spec.name, 'network.name')
    validateLabels(spec.labels ?? {}, 'network.labels')
    const driver = spec.driver || 'bridge'
    if (driver === 'host' || driver === 'none')
      throw invalidArgument(`driver "${driver}": there is exactly one network of it, and it is there already`)
    this.#made.backend(driver)
    const row = this.#store.add(ns, { ...spec, driver })
    try {
      return this.#recordOf(await this.#made.ensure(row), ns)
    } catch (error) {
      this.#store.remove(row)
      throw error
    }
  }

  async get(ns: string, network: string): Promise<NetworkRecord> {
    return this.#recordOf(this.#store.find(ns, network), ns)
  }

  async list(ns: string): Promise<NetworkRecord[]> {
    return this.#store.visible(ns).map(row => this.#recordOf(row, ns))
  }

  ids(ns: string): Record<string, string> {
    return Object.fromEntries(this.#store.visible(ns).map(({ network }) => [network.name, network.id]))
  }

  async remove(ns: string, network: string): Promise<void> {
    const row = this.#store.find(ns, network)
    const { id, name } = row.network
    if (isBuiltIn(name)) throw failedPrecondition(`network "${name}" is built in and cannot be removed`)
    const attached = this.#store.attachments(ns).filter(({ networkId }) => networkId === id)
    if (attached.length > 0)
      throw failedPrecondition(
        `network "${name}" has containers attached: ${attached.map(({ containerId }) => containerId).join(', ')}`,
      )
    await this.#made.backend(row.driver).removeNetwork({ networkId: id })
    this.#made.forget(id)
    this.#store.remove(row)
  }

  async sharesHost(ns: string, requests: readonly AttachmentRequest[]): Promise<boolean> {
    return this.#attacher.resolve(ns, requests).some(({ network }) => network.driver === 'host')
  }

  attach(
    ns: string,
    containerId: string,
    netnsPath: string,
    requests: readonly AttachmentRequest[],
    options: AttachOptions = {},
  ): Promise<AttachmentRecord[]> {
    return this.#lock.run(backendId({ ns, containerId }), async () => {
      const rows = await this.#attacher.attach({ ns, containerId, netnsPath }, requests, options)
      return rows.flatMap(row => this.#attachmentOf(row))
    })
  }

  join(
    ns: string,
    containerId: string,
    netnsPath: string,
    request: AttachmentRequest,
    options: AttachOptions = {},
  ): Promise<AttachmentRecord> {
    return this.#lock.run(backendId({ ns, containerId }), async () => {
      const row = await this.#attacher.join({ ns, containerId, netnsPath }, request, options)
      const [record] = this.#attachmentOf(row)
      if (record === undefined) throw internal(`container "${containerId}" was not attached`)
      return record
    })
  }

  publish(
    ns: string,
    containerId: string,
    network: string | undefined,
    ports: readonly PortMapping[],
  ): Promise<PortMapping[]> {
    return this.#lock.run(backendId({ ns, containerId }), async () => {
      const row = this.#publisher(ns, containerId, network)
      await this.#attacher.update(row, { publish: [...ports] })
      return this.#openPorts(ns, containerId)
    })
  }

  unpublish(
    ns: string,
    containerId: string,
    network: string | undefined,
    ports: readonly PortMapping[],
  ): Promise<PortMapping[]> {
    return this.#lock.run(backendId({ ns, containerId }), async () => {
      for (const row of this.#living(ns, containerId, network)) {
        const unpublish = ports.length > 0 ? [...ports] : (row.result?.ports ?? [])
        if ((row.result?.ports ?? []).length > 0) await this.#attacher.update(row, { unpublish })
      }
      return this.#openPorts(ns, containerId)
    })
  }

  setOptions(ns: string, containerId: string, network: string | undefined, options: EndpointOptions): Promise<void> {
    return this.#lock.run(backendId({ ns, containerId }), async () => {
      for (const row of this.#living(ns, containerId, network))
        await this.#attacher.update(row, { options: mergedOptions(row.request.options, options) })
    })
  }

  async trace(ns: string, containerId: string, target: TraceTarget): Promise<TraceResponse> {
    const [first] = this.#living(ns, containerId, undefined).sort((a, b) => metricOf(a) - metricOf(b))
    if (first && first.netnsPath !== '') return await this.#attacher.trace(first, target)
    throw failedPrecondition(`container "${containerId}" has no interface of its own: does it run?`)
  }

  async check(ns: string, network: string): Promise<string[]> {
    const { id } = this.#store.find(ns, network).network
    const rows = this.#store.attachments(ns).filter(row => row.networkId === id && row.state === 'attached')
    const outcomes = await Promise.allSettled(rows.map(row => this.#attacher.check(row)))
    return outcomes.flatMap(outcome => (outcome.status === 'rejected' ? messageOf(outcome.reason) : []))
  }

  rename(ns: string, containerId: string, name: string): Promise<void> {
    return this.#lock.run(backendId({ ns, containerId }), async () => {
      for (const row of this.#living(ns, containerId, undefined)) {
        const renamed = { ...row, wishes: { ...row.wishes, name } }
        this.#store.putAttachments([renamed])
        await this.#attacher.update(renamed, { names: { aliases: namesOf(renamed) } }).catch(error => {
          const reason = messageOf(error)
          this.#logger.warn({ ns, containerId, driver: row.driver, reason }, 'a network goes on with the old name')
        })
      }
    })
  }

  /** Where ports are opened: the network named, or the one whose default route is used. */
  #publisher(ns: string, containerId: string, network: string | undefined): AttachmentRow {
    const living = this.#living(ns, containerId, network)
    const outward = living.filter(row => network !== undefined || (row.result?.routes.length ?? 0) > 0)
    const [first] = outward.sort((a, b) => metricOf(a) - metricOf(b))
    if (first) return first
    throw failedPrecondition(
      `container "${containerId}" is on no network that publishes ports${network === undefined ? '' : ` named "${network}"`}: does it run?`,
    )
  }

  #living(ns: string, containerId: string, network: string | undefined): AttachmentRow[] {
    const id = network === undefined ? undefined : this.#store.find(ns, network).network.id
    return this.#store
      .attachments(ns, containerId)
      .filter(row => row.state === 'attached' && (id === undefined || row.networkId === id))
  }

  #openPorts(ns: string, containerId: string): PortMapping[] {
    return this.#living(ns, containerId, undefined).flatMap(({ result }) => result?.ports ?? [])
  }

  detach(ns: string, containerId: string, network?: string): Promise<void> {
    return this.#lock.run(backendId({ ns, containerId }), async () => {
      const rows = this.#store.attachments(ns, containerId)
      const id = network === undefined ? undefined : this.#store.find(ns, network).network.id
      await this.#attacher.leave(id === undefined ? rows : rows.filter(row => row.networkId === id))
    })
  }

  async attachments(ns: string, containerId: string): Promise<AttachmentRecord[]> {
    return this.#store.attachments(ns, containerId).flatMap(row => this.#attachmentOf(row))
  }

  collect(options: CollectOptions): Promise<string[]> {
    const own = { store: this.#store, made: this.#made, attacher: this.#attacher, logger: this.#logger }
    return collect({ ...options, ...own, alone: (row, work) => this.#lock.run(backendId(row), work) })
  }

  async reconcile(alive: readonly ContainerRef[]): Promise<void> {
    const living = new Set(alive.map(({ namespace: ns, containerId }) => backendId({ ns, containerId })))
    const rows = this.#store.attachments()
    const stays = (row: AttachmentRow) => row.state === 'attached' && living.has(backendId(row))
    this.#store.putAttachments(rows.filter(row => !stays(row)).map(row => ({ ...row, state: 'leaving' as const })))
    const used = Map.groupBy(rows, ({ networkId }) => networkId)
    await Promise.all([
      ...[...used].map(([id, members]) => this.#reconcileNetwork(id, members, stays)),
      ...this.#store
        .all()
        .filter(row => !row.isMade && row.ns !== '' && !used.has(row.network.id))
        .map(row => this.#dropUnmade(row)),
    ])
  }

  async #reconcileNetwork(
    id: string,
    members: readonly AttachmentRow[],
    stays: (row: AttachmentRow) => boolean,
  ): Promise<void> {
    const driver = members[0]?.driver ?? ''
    try {
      const network = this.#store.byId(id)
      if (network) await this.#made.ensure(network)
      const validAttachments = members
        .filter(stays)
        .map(row => ({ containerId: backendId(row), interfaceName: row.interfaceName }))
      const { removed } = await this.#made.backend(driver).gc({ networkId: id, validAttachments })
      this.#store.removeAttachments(members.filter(row => !stays(row)))
      this.#logger.info(
        { network: network?.network.name ?? id, kept: validAttachments.length, removed },
        'network reconciled',
      )
    } catch (error) {
      this.#logger.error(
        { networkId: id, driver, err: error },
        'network could not be reconciled; its next use tries again',
      )
    }
  }

  /** A creation that was cut short: nobody was ever told of it. */
  async #dropUnmade(row: NetworkRow): Promise<void> {
    try {
      await this.#made.backend(row.driver).removeNetwork({ networkId: row.network.id })
      this.#store.remove(row)
    } catch (error) {
      this.#logger.error({ network: row.network.name, reason: messageOf(error) }, 'an unfinished network stays')
    }
  }

  #recordOf({ network, driver, createdAt }: NetworkRow, ns: string): NetworkRecord {
    const attachments = this.#store.attachments(ns).filter(({ networkId }) => networkId === network.id)
    return { network, driver, createdAt, attachments: attachments.flatMap(row => this.#attachmentOf(row)) }
  }

  /** Only what was made counts as attached. */
  #attachmentOf(row: AttachmentRow): AttachmentRecord[] {
    if (row.state !== 'attached' || row.result === undefined) return []
    const { networkId, driver, containerId, interfaceName, netnsPath, request, result } = row
    const networkName = this.#store.byId(networkId)?.network.name ?? networkId
    const { aliases = [], gatewayPriority = 0, links = {}, options = {} } = request
    const name = { networkId, networkName, driver, containerId, interfaceName, netnsPath }
    return [{ ...name, aliases, names: namesOf(row), gatewayPriority, links, options, result }]
  }
}
