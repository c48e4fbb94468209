/**
 * Connecting a container to networks while it exists: at once when it runs, and remembered for its next start. The wish
 * is recorded before the plugin is asked; when the plugin refuses, the record is as before.
 */
import { KeyedLock } from '#api/concurrency/keyed-lock.ts'
import { failedPrecondition, isGantryError } from '#api/errors/errors.ts'
import type { Logger } from '#api/log/log.ts'
import { type EndpointOptions, mergedOptions } from './endpoint-options.ts'
import type { AttachmentRecord, AttachmentRequest, ContainerWishes, Networks } from './networks.ts'

/** A container as far as its networks go. */
export interface ContainerNetworks {
  readonly id: string
  /** Of its record, in order; undefined for a container that others made, whose networks are not kept here. */
  readonly requests: readonly AttachmentRequest[] | undefined
  readonly wishes: ContainerWishes
  /** Its own pinned namespace; undefined while it does not run. */
  readonly netnsPath: string | undefined
}

export interface ConnectionsParts {
  readonly networks: Networks
  /** By id, name or prefix. NOT_FOUND; FAILED_PRECONDITION: it has no namespace of its own (host, container:ID). */
  find(ns: string, container: string): Promise<ContainerNetworks>
  /** Records the networks for later starts. */
  record(ns: string, containerId: string, requests: readonly AttachmentRequest[]): Promise<void>
  /** The running container's hosts and resolv.conf follow its networks. */
  refreshFiles(ns: string, containerId: string): Promise<void>
  readonly logger: Logger
}

export class Connections {
  readonly #parts: ConnectionsParts
  readonly #lock = new KeyedLock()

  constructor(parts: ConnectionsParts) {
    this.#parts = parts
  }

  /** Of a container by id, name or prefix. NOT_FOUND. */
  async idOf(ns: string, reference: string): Promise<string> {
    return (await this.#parts.find(ns, reference)).id
  }

  /** Undefined while the container does not run. Errors of {@link Networks.join}. */
  async connect(ns: string, reference: string, request: AttachmentRequest): Promise<AttachmentRecord | undefined> {
    const { id } = await this.#parts.find(ns, reference)
    return this.#lock.run(`${ns}/${id}`, () => this.#connect(ns, id, request))
  }

  async #connect(ns: string, id: string, request: AttachmentRequest): Promise<AttachmentRecord | undefined> {
    const { networks, find, record, refreshFiles } = this.#parts
    const { requests, netnsPath, wishes } = await find(ns, id)
    const { network, driver } = await networks.get(ns, request.network)
    if (driver === 'host')
      throw failedPrecondition(`container "${id}" has a network namespace of its own and cannot join the host's`)
    const others = await this.#without(ns, requests ?? [], network.id)
    if (requests) await record(ns, id, [...others, request])
    if (netnsPath === undefined) return undefined
    try {
      const attachment = await networks.join(ns, id, netnsPath, request, { wishes })
      await refreshFiles(ns, id)
      return attachment
    } catch (error) {
      if (requests) await record(ns, id, requests)
      throw error
    }
  }

  /**
   * Changes options of an endpoint, or of all; answers them as they are now. FAILED_PRECONDITION: it is not connected
   * there. Errors of the plugin: nothing is changed.
   */
  async setOptions(
    ns: string,
    reference: string,
    network: string | undefined,
    options: EndpointOptions,
  ): Promise<AttachmentRequest[]> {
    const { id } = await this.#parts.find(ns, reference)
    return this.#lock.run(`${ns}/${id}`, () => this.#setOptions(ns, id, network, options))
  }

  async #setOptions(
    ns: string,
    id: string,
    wanted: string | undefined,
    options: EndpointOptions,
  ): Promise<AttachmentRequest[]> {
    const { networks, find, record, refreshFiles } = this.#parts
    const { requests = [], netnsPath } = await find(ns, id)
    const network = wanted === undefined ? undefined : (await networks.get(ns, wanted)).network
    const others = network ? await this.#without(ns, requests, network.id) : []
    const chosen = requests.filter(request => !others.includes(request) && request.network !== 'none')
    if (chosen.length === 0)
      throw failedPrecondition(
        `container "${id}" is not connected to ${wanted === undefined ? 'any network' : `network "${wanted}"`}`,
      )
    const changed = requests.map(request =>
      chosen.includes(request) ? { ...request, options: mergedOptions(request.options, options) } : request,
    )
    if (Object.keys(options).length === 0) return requests.filter(request => chosen.includes(request))
    await record(ns, id, changed)
    try {
      if (netnsPath !== undefined) {
        await networks.setOptions(ns, id, network?.id, options)
        await refreshFiles(ns, id)
      }
    } catch (error) {
      await record(ns, id, requests)
      throw error
    }
    return changed.filter((_, i) => chosen.includes(requests[i] as AttachmentRequest))
  }

  /** With `force` a plugin that cannot be reached is no hindrance: what it holds is collected later. */
  async disconnect(ns: string, reference: string, network: string, force: boolean): Promise<void> {
    const { id } = await this.#parts.find(ns, reference)
    await this.#lock.run(`${ns}/${id}`, () => this.#disconnect(ns, id, network, force))
  }

  async #disconnect(ns: string, id: string, wanted: string, force: boolean): Promise<void> {
    const { networks, find, record, refreshFiles, logger } = this.#parts
    const { requests, netnsPath } = await find(ns, id)
    const { network } = await networks.get(ns, wanted)
    if (requests) {
      const others = await this.#without(ns, requests, network.id)
      // A record without any network means the default one: that is not what was asked for.
      await record(ns, id, others.length > 0 ? others : [{ network: 'none' }])
    }
    await networks.detach(ns, id, network.id).catch(error => {
      if (!force || !isGantryError(error, 'UNAVAILABLE')) throw error
      logger.warn({ ns, id, network: network.name, err: error }, 'disconnected by force; the plugin lets go later')
    })
    if (netnsPath !== undefined) await refreshFiles(ns, id)
  }

  /** All but those of a network, and the placeholder of a container without any. */
  async #without(ns: string, requests: readonly AttachmentRequest[], networkId: string): Promise<AttachmentRequest[]> {
    const ids = await Promise.all(
      requests.map(({ network }) =>
        this.#parts.networks.get(ns, network).then(
          found => found.network.id,
          () => '',
        ),
      ),
    )
    return requests.filter(({ network }, i) => ids[i] !== networkId && network !== 'none')
  }
}
