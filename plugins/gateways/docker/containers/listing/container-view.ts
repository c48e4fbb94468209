/**
 * The containers as they are now, for lists: the core is asked for what has changed since the last list, which is nothing
 * most of the time. Unlike a copy that events keep, it is never behind: what was done before a list is asked for is in it.
 */
import type { Core } from '../../core-client/core.ts'
import { foundOf } from '../found.ts'
import { type Band, type Listed, listedOf } from './listed.ts'

export class ContainerView {
  readonly #core: Pick<Core, 'containers'>
  readonly #bands = new Set<Band>()
  #mark = ''
  #byId = new Map<string, Listed>()
  #networkIds: ReadonlyMap<string, string> = new Map()
  /** Newest first; undefined: to be sorted again. */
  #sorted: readonly Listed[] | undefined
  #underWay: Promise<void> = Promise.resolve()
  #next: Promise<void> | undefined

  constructor(core: Pick<Core, 'containers'>) {
    this.#core = core
  }

  /** The newest first; those with texts of `band`. */
  async all(band?: Band): Promise<readonly Listed[]> {
    if (band !== undefined && !this.#bands.has(band)) {
      this.#bands.add(band)
      this.#mark = ''
    }
    await this.#refreshed()
    this.#sorted ??= [...this.#byId.values()].sort((a, b) => (a.createdAtNs < b.createdAtNs ? 1 : -1))
    return this.#sorted
  }

  /** Ids by name, of the networks of Docker's tenant namespace, as of the last list. */
  get networkIds(): ReadonlyMap<string, string> {
    return this.#networkIds
  }

  async networkIdsNow(): Promise<ReadonlyMap<string, string>> {
    await this.#refreshed()
    return this.#networkIds
  }

  /** One question at a time. Whoever comes while one is under way shares the next: that one may have missed something. */
  #refreshed(): Promise<void> {
    this.#next ??= this.#underWay
      .catch(() => {})
      .then(() => {
        this.#underWay = this.#next ?? Promise.resolve()
        this.#next = undefined
        return this.#refresh()
      })
    return this.#next
  }

  async #refresh(): Promise<void> {
    let again: string[] = []
    do again = await this.#take(again)
    while (again.length > 0)
  }

  /** Answers whose texts tell of networks that are others by now. */
  async #take(again: readonly string[]): Promise<string[]> {
    const bands = [...this.#bands]
    let target: Map<string, Listed> | undefined
    let mark = ''
    let stale: string[] = []
    for await (const part of this.#core.containers.changes({ since: this.#mark, again: [...again] })) {
      // What is there stays until all is there.
      target ??= part.complete ? new Map() : this.#byId
      if (mark === '') stale = this.#renamed(new Map(Object.entries(part.networks)))
      mark = part.now
      for (const core of part.containers) {
        const listed = listedOf(foundOf(core), this.#networkIds, bands)
        target.set(listed.id, listed)
      }
      for (const id of part.removed) target.delete(id)
      if (part.containers.length > 0 || part.removed.length > 0) this.#sorted = undefined
    }
    const isComplete = target !== this.#byId
    if (target && isComplete) this.#byId = target
    if (isComplete) this.#sorted = undefined
    // A band that was asked for meanwhile is still to come.
    this.#mark = bands.length === this.#bands.size ? mark : ''
    return isComplete ? [] : stale
  }

  #renamed(ids: ReadonlyMap<string, string>): string[] {
    const before = this.#networkIds
    this.#networkIds = ids
    const isOther = (name: string) => before.get(name) !== ids.get(name)
    return [...this.#byId.values()].filter(({ namedNetworks }) => namedNetworks.some(isOther)).map(({ id }) => id)
  }
}
