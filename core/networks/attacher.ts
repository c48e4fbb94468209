/** Attaches containers and takes them off again; see the contract for what happens when a process dies in between. */
import { invalidArgument, isGantryError, messageOf } from '#api/errors/errors.ts'
import type { Result } from '#api/gen/gantry/network/v1/network.ts'
import type { Logger } from '#api/log/log.ts'
import type { MadeNetworks } from './made-networks.ts'
import type { AttachmentRow, NetworkRow, NetworkStore } from './network-store.ts'
import type { AttachmentRequest } from './networks.ts'

export interface Target {
  readonly ns: string
  readonly containerId: string
  /** Empty: the host's. */
  readonly netnsPath: string
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

  async attach(target: Target, requests: readonly AttachmentRequest[], signal?: AbortSignal): Promise<AttachmentRow[]> {
    const rows = plannedRows(target, this.resolve(target.ns, requests))
    const stale = this.#store
      .attachments(target.ns, target.containerId)
      .filter(old => !rows.some(row => isSame(old, row)))
    await this.leave(stale)
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
        aliases: request.aliases ?? [],
        defaultRoute: request.defaultRoute ?? false,
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

function plannedRows({ ns, containerId, netnsPath }: Target, wishes: readonly Wish[]): AttachmentRow[] {
  const gateway = wishes.findIndex(({ network }) => !network.network.internal)
  const rows = wishes.map(({ request, network }, order) => ({
    ns,
    containerId,
    interfaceName: request.interfaceName || `eth${order}`,
    networkId: network.network.id,
    driver: network.driver,
    netnsPath,
    order,
    request: { ...request, defaultRoute: request.defaultRoute ?? order === gateway },
    state: 'attaching' as const,
  }))
  const names = rows.map(({ interfaceName }) => interfaceName)
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) throw invalidArgument(`interface name "${twice}" is asked for twice`)
  return rows
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
