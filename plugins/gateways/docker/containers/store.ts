/** Containers as the core has them, found by whatever a client writes. */

import { isGantryError } from '#api/errors/errors.ts'
import type { PortMapping } from '#api/gen/gantry/network/v1/network.ts'
import type { Input } from '#api/rpc/definition.ts'
import type { Core } from '../core-client/core.ts'
import type { ContainerSummary, EngineContainers } from '../engine/containers.ts'
import { badRequest, noSuchContainer } from '../http/http-error.ts'
import { publishedPorts } from './create/ports.ts'
import { joinLate, leaveLate, noteEndpoint } from './endpoint-record.ts'
import { type Found, foundOf, summaryOf } from './found.ts'
import { ContainerView } from './listing/container-view.ts'
import type { NewContainers } from './new-containers.ts'

export type { Found } from './found.ts'

export class ContainerStore implements EngineContainers {
  readonly #core: Core
  readonly #new: NewContainers
  /** For lists. */
  readonly view: ContainerView

  constructor(core: Core, newContainers: NewContainers) {
    this.#core = core
    this.view = new ContainerView(core)
    this.#new = newContainers
  }

  /** Docker's 404, and its 400 for a prefix that several ids have. Its attach socket is that of an exec, if one is named. */
  async get(reference: string, execId = ''): Promise<Found> {
    const wanted = reference.replace(/^\//, '')
    if (wanted === '') throw badRequest('invalid name or ID supplied: ""')
    try {
      const asked = foundOf(await this.#core.containers.inspect({ id: wanted, execId }))
      // Whoever asks may be about to change it.
      this.#new.delete(asked.id)
      return asked
    } catch (error) {
      if (isGantryError(error, 'NOT_FOUND')) throw noSuchContainer(reference, { cause: error })
      if (isGantryError(error, 'INVALID_ARGUMENT'))
        throw badRequest(`multiple IDs found with provided prefix: ${reference}`, { cause: error })
      throw error
    }
  }

  /** As {@link get}, for those who begin with what has just been made: a new container is not asked for. */
  async getNew(reference: string): Promise<Found> {
    return this.#new.get(reference) ?? this.get(reference)
  }

  /** As {@link getNew}, for whoever makes it a new one no more. */
  async takeNew(reference: string): Promise<Found> {
    const made = this.#new.get(reference)
    this.#new.delete(reference)
    return made ?? this.get(reference)
  }

  /** Undefined instead of 404. */
  async peek(reference: string): Promise<Found | undefined> {
    try {
      return foundOf(await this.#core.containers.inspect({ id: reference }))
    } catch (error) {
      if (isGantryError(error, 'NOT_FOUND')) return undefined
      throw error
    }
  }

  /** The newest first. */
  async all(): Promise<Found[]> {
    const { containers } = await this.#core.containers.list({})
    return containers.map(foundOf).sort((a, b) => compareCreated(b, a))
  }

  async find(reference: string): Promise<ContainerSummary> {
    return summaryOf(await this.get(reference))
  }

  async list(): Promise<readonly ContainerSummary[]> {
    return await this.view.all()
  }

  async publishedPorts(id: string): Promise<Input<PortMapping>[]> {
    const { record } = await this.get(id)
    return publishedPorts(record.config, record.hostConfig)
  }

  async noteEndpoint(id: string, network: string, wish: object | undefined): Promise<void> {
    await noteEndpoint(this.#core, await this.get(id), network, wish)
  }

  async joinLate(id: string, network: string, wish: object): Promise<void> {
    await joinLate(this.#core, await this.get(id), network, wish)
  }

  async leaveLate(id: string, network: string): Promise<void> {
    await leaveLate(this.#core, await this.get(id), network)
  }
}

function compareCreated(a: Found, b: Found): number {
  const [x, y] = [a.core.createdAt, b.core.createdAt]
  if (!x || !y) return 0
  return x.seconds === y.seconds ? x.nanos - y.nanos : x.seconds < y.seconds ? -1 : 1
}
