/** Attaches containers and takes them off again; see the contract for what happens when a process dies in between. */
import { failedPrecondition, internal, invalidArgument, isGantryError, messageOf } from '#api/errors/errors.ts'
import type { Names, PortMapping, Result, TraceResponse } from '#api/gen/gantry/network/v1/network.ts'
import type { Logger } from '#api/log/log.ts'
import type { MadeNetworks } from './made-networks.ts'
import type { AttachmentRow, NetworkRow, NetworkStore } from './network-store.ts'
import type { AttachmentRequest, AttachOptions, ContainerWishes, TraceTarget } from './networks.ts'

export interface Target {
  readonly ns: string
  readonly containerId: string
  /** Empty: the host's. */
  readonly netnsPath: string
}

/** What of an attachment may change. */
export interface AttachmentChange {
  readonly publish?: PortMapping[]
  readonly unpublish?: PortMapping[]
  readonly names?: Names
  /** All of them, instead of those there are. */
  readonly options?: Readonly<Record<string, string>>
}

export interface AttacherParts {
  readonly store: NetworkStore
  readonly made: MadeNetworks
  readonly logger: Logger
}

/** A wish with the network it means. */
interface Wish {
  readonly request: AttachmentRequest
  readonly network: NetworkRow
}

/** One container's verbs must not overlap: the caller sees to that. */
export class Attacher {
  readonly #store: NetworkStore
  readonly #made: MadeNetworks
  readonly #logger: Logger

  constructor({ store, made, logger }: AttacherParts) {
    this.#store = store
    this.#made = made
    this.#logger = logger
  }

  /** The networks that are wished for, checked: NOT_FOUND, INVALID_ARGUMENT. */
  resolve(ns: string, requests: readonly AttachmentRequest[]): Wish[] {
    const wishes = requests.map(request => ({ request, network: this.#store.find(ns, request.network) }))
    const ids = wishes.map(({ network }) => network.network.id)
    const twice = wishes.find(({ network }, index) => ids.indexOf(network.network.id) !== index)
    if (twice) throw invalidArgument(`network "${twice.network.network.name}" is asked for twice`)
    const alone = wishes.find(({ network }) => network.driver === 'host' || network.driver === 'none')
    if (alone && wishes.length > 1)
      throw invalidArgument(`network "${alone.network.network.name}" cannot be combined with another one`)
    return wishes
  }

  /** Joins all of `requests`, all or none; what the container was on beside them goes first. */
  async attach(
    target: Target,
    requests: readonly AttachmentRequest[],
    { signal, wishes }: AttachOptions,
  ): Promise<AttachmentRow[]> {
    const rows = plannedRows({ target, wishes: this.resolve(target.ns, requests), own: wishes, present: [] })
    const stale = this.#store
      .attachments(target.ns, target.containerId)
      .filter(old => !rows.some(row => isSame(old, row)))
    await this.leave(stale)
    return await this.#addAll(target, rows, signal)
  }

  /** Joins one more. */
  async join(target: Target, request: AttachmentRequest, { signal, wishes }: AttachOptions): Promise<AttachmentRow> {
    const { ns, containerId } = target
    const all = this.#store.attachments(ns, containerId)
    // No network at all is not one among several.
    const isOver = ({ state, driver }: AttachmentRow) => state === 'leaving' || driver === 'none'
    await this.leave(all.filter(isOver))
    const present = all.filter(row => !isOver(row))
    const [wish] = this.resolve(ns, [request])
    if (wish === undefined) throw invalidArgument('network is missing')
    const [alone] = [wish.network, ...present].filter(({ driver }) => driver === 'host')
    if (alone)
      throw failedPrecondition(`container "${containerId}": the host's network cannot be combined with another one`)
    const known = present.find(({ networkId }) => networkId === wish.network.network.id)
    // A repeat names the interface that it has by now.
    const [row] = known
      ? [{ ...known, netnsPath: target.netnsPath }]
      : plannedRows({ target, wishes: [wish], own: wishes, present })
    const [attached] = row ? await this.#addAll(target, [row], signal) : []
    if (attached === undefined) throw internal(`container "${containerId}" was not attached`)
    return attached
  }

  async #addAll(target: Target, rows: readonly AttachmentRow[], signal?: AbortSignal): Promise<AttachmentRow[]> {
    this.#store.putAttachments(rows)
    const outcomes = await Promise.allSettled(rows.map(row => this.#add(row, signal)))
    const failed = outcomes.find(outcome => outcome.status === 'rejected')
    if (failed) {
      await this.leave(rows).catch(error =>
        this.#logger.warn({ ...target, err: error }, 'a failed attachment is left for later'),
      )
      throw failed.reason
    }
    const attached = outcomes.flatMap(outcome => (outcome.status === 'fulfilled' ? outcome.value : []))
    this.#store.putAttachments(attached)
    return attached
  }

  /** Changes ports or names of one that is attached. */
  async update(row: AttachmentRow, change: AttachmentChange): Promise<AttachmentRow> {
    const { networkId, interfaceName } = row
    const { publish = [], unpublish = [], names, options } = change
    const { result } = await this.#made.backend(row.driver).update({
      ...{ networkId, containerId: backendId(row), interfaceName, publish, unpublish },
      ...(names && { names }),
      ...(options && { endpointOptions: { values: { ...options } } }),
    })
    const ports = (result ?? emptyResult).ports
    const request = { ...row.request, ports, ...(options && { options }) }
    const changed = { ...row, request, result: result ?? emptyResult }
    this.#store.putAttachments([changed])
    return changed
  }

  trace(row: AttachmentRow, target: TraceTarget): Promise<TraceResponse> {
    const { networkId, interfaceName } = row
    return this.#made.backend(row.driver).trace({ ...target, networkId, containerId: backendId(row), interfaceName })
  }

  /** FAILED_PRECONDITION names what is missing. */
  async check(row: AttachmentRow): Promise<void> {
    const { networkId, interfaceName, netnsPath, result } = row
    await this.#made
      .backend(row.driver)
      .check({ networkId, containerId: backendId(row), interfaceName, netnsPath, previous: result })
  }

  /** Marks them as leaving, then has each plugin let go. The first failure is thrown when all have been tried. */
  async leave(rows: readonly AttachmentRow[]): Promise<void> {
    if (rows.length === 0) return
    this.#store.putAttachments(
      rows.filter(({ state }) => state !== 'leaving').map(row => ({ ...row, state: 'leaving' })),
    )
    const outcomes = await Promise.allSettled(rows.map(row => this.#del(row)))
    this.#store.removeAttachments(rows.filter((_, index) => outcomes[index]?.status === 'fulfilled'))
    const failed = outcomes.find(outcome => outcome.status === 'rejected')
    if (failed) throw failed.reason
  }

  async #add(row: AttachmentRow, signal?: AbortSignal): Promise<AttachmentRow> {
    try {
      return await this.#addOnce(row, signal)
    } catch (error) {
      // A plugin that lost its root (or was replaced) does not know the network: tell it once more.
      if (!isGantryError(error, 'NOT_FOUND') || !messageOf(error).includes(row.networkId)) throw error
      this.#made.forget(row.networkId)
      return await this.#addOnce(row, signal)
    }
  }

  async #addOnce(row: AttachmentRow, signal?: AbortSignal): Promise<AttachmentRow> {
    const { request, networkId, interfaceName, netnsPath, ns } = row
    const network = this.#store.byId(networkId)
    if (network) await this.#made.ensure(network)
    const { result } = await this.#made.backend(row.driver).add(
      {
        networkId,
        containerId: backendId(row),
        namespace: ns,
        netnsPath,
        interfaceName,
        addresses: request.addresses ?? [],
        mac: request.mac ?? '',
        ports: request.ports ?? [],
        aliases: namesOf(row),
        defaultRoute: network?.network.internal === false,
        defaultRouteMetric: metricOf(row),
        links: { ...request.links },
        options: { ...request.options },
        ...(row.wishes?.dns ? { dns: row.wishes.dns } : {}),
      },
      { signal },
    )
    return { ...row, state: 'attached', result: result ?? emptyResult }
  }

  async #del(row: AttachmentRow): Promise<void> {
    const { networkId, interfaceName, netnsPath, driver } = row
    await this.#made.backend(driver).del({ networkId, containerId: backendId(row), netnsPath, interfaceName })
  }
}

const emptyResult: Result = { interfaces: [], ips: [], routes: [], ports: [] }

/** How a backend knows a container: ids are unique per tenant namespace only. */
export function backendId({ ns, containerId }: Pick<AttachmentRow, 'ns' | 'containerId'>): string {
  return `${ns}/${containerId}`
}

interface Plan {
  readonly target: Target
  readonly wishes: readonly Wish[]
  readonly own: ContainerWishes | undefined
  /** Attachments that the container keeps. */
  readonly present: readonly AttachmentRow[]
}

function plannedRows({ target, wishes, own, present }: Plan): AttachmentRow[] {
  const order = present.reduce((next, row) => Math.max(next, row.order + 1), 0)
  const names = new Set(present.map(({ interfaceName }) => interfaceName))
  return wishes.map(({ request, network }, index) => {
    const interfaceName = request.interfaceName || freeInterface(names, wishes)
    if (names.has(interfaceName)) throw invalidArgument(`interface name "${interfaceName}" is asked for twice`)
    names.add(interfaceName)
    return {
      ...target,
      interfaceName,
      networkId: network.network.id,
      driver: network.driver,
      order: order + index,
      request,
      ...(own && { wishes: own }),
      state: 'attaching' as const,
    }
  })
}

/** The first of `eth0`, `eth1` … that is neither used nor asked for by name. */
function freeInterface(used: ReadonlySet<string>, wishes: readonly Wish[]): string {
  for (let i = 0; ; i++) {
    const name = `eth${i}`
    if (!used.has(name) && !wishes.some(({ request }) => request.interfaceName === name)) return name
  }
}

/**
 * Every network gives its container a default route; the metric says which is used, so that another one takes over by
 * itself when that network goes.
 */
export function metricOf({ request, order }: AttachmentRow): number {
  const priority = Math.max(-900, Math.min(900, request.gatewayPriority ?? 0))
  return 100_000 - 100 * priority + Math.min(order, 99)
}

/** The container's own name first: a PTR query is answered with it. */
export function namesOf({ containerId, request, wishes }: AttachmentRow): string[] {
  const ids = /^[0-9a-f]{64}$/.test(containerId) ? [containerId.slice(0, 12), containerId] : [containerId]
  return [...new Set([...(wishes?.name ? [wishes.name] : []), ...(request.aliases ?? []), ...ids])]
}

/** Repeating it is the plugin's to answer; anything else has to go first. */
function isSame(a: AttachmentRow, b: AttachmentRow): boolean {
  return (
    a.state !== 'leaving' &&
    a.networkId === b.networkId &&
    a.interfaceName === b.interfaceName &&
    a.netnsPath === b.netnsPath
  )
}
