/** `DELETE /images/{name}`: names are taken, and the image goes with its last one unless something needs it. */

import { blobInfo } from '#api/content/read-blob.ts'
import { addLabels } from '#api/content/write-blob.ts'
import { parseDigest } from '#api/types/digest.ts'
import type { Reference } from '#api/types/reference.ts'
import type { ContainerSummary } from '../engine/containers.ts'
import { conflict } from '../http/http-error.ts'
import { type CatalogImage, noSuchImage, sourceLabel } from './catalog.ts'
import { tellImage } from './image-events.ts'
import { parseName, recordName, shortId, shown } from './names.ts'
import { findRecord, removeRecord, takeName } from './records.ts'
import type { ImageRoom } from './room.ts'

export type Removal = { Untagged: string } | { Deleted: string }

/** Docker's 404, and 409 while containers use the image. */
export async function removeImage(room: ImageRoom, text: string, force: boolean): Promise<Removal[]> {
  const image = await room.catalog.find(text)
  if (image === undefined) throw noSuchImage(text)
  const users = (await room.engine.containers.list()).filter(({ imageId }) => imageId === image.id)
  const run = new RemoveRun(room, image, users)
  return isIdOf(image, text) ? run.byId(force) : run.byName(text, force)
}

function isIdOf({ id }: CatalogImage, text: string): boolean {
  return id.startsWith(text) || id.slice('sha256:'.length).startsWith(text)
}

class RemoveRun {
  readonly #room: ImageRoom
  readonly #image: CatalogImage
  readonly #users: readonly ContainerSummary[]
  readonly #removals: Removal[] = []

  constructor(room: ImageRoom, image: CatalogImage, users: readonly ContainerSummary[]) {
    this.#room = room
    this.#image = image
    this.#users = users
  }

  /** An id takes all names along when they are of one repository. */
  async byId(force: boolean): Promise<Removal[]> {
    if (isSingle(this.#image)) {
      const problem = this.#inUse(force)
      if (problem !== undefined) throw problem
      return this.#deleteImage()
    }
    if (this.#image.tags.length + this.#image.digests.length > 0 && !force)
      throw this.#conflict('must be forced', 'image is referenced in multiple repositories')
    const problem = this.#inUse(force)
    if (problem !== undefined) throw problem
    return this.#deleteImage()
  }

  async byName(text: string, force: boolean): Promise<Removal[]> {
    const reference = parseName(text)
    const user = this.#users[0]
    if (!force && user !== undefined && isSingle(this.#image))
      throw conflict(
        `conflict: unable to remove repository reference "${text}" (must force) - container ${shortId(user.id)} is using its referenced image ${shortId(this.#image.id)}`,
      )
    const left = await this.#untag(reference)
    // What is in use stays, without a name.
    if (left > 0 || this.#inUse(force) !== undefined) return this.#removals
    return this.#deleteImage()
  }

  /** How many names are left. Those by digest go with the last tag of their repository. */
  async #untag(reference: Reference): Promise<number> {
    const { tags, digests } = this.#image
    const isSame = (other: Reference) => recordName(other) === recordName(reference)
    const inRepository = (other: Reference) =>
      other.domain === reference.domain && other.repository === reference.repository
    await this.#take(reference)
    const otherTags = tags.filter(tag => !isSame(tag))
    const orphans =
      reference.digest === undefined && !otherTags.some(inRepository)
        ? digests.filter(digest => inRepository(digest) && !isSame(digest))
        : []
    for (const digest of orphans) await this.#take(digest, false)
    const otherDigests = digests.filter(digest => !isSame(digest) && !orphans.includes(digest))
    return otherTags.length + otherDigests.length
  }

  async #take(reference: Reference, isTold = true): Promise<void> {
    const { core, events } = this.#room.engine
    const record = await findRecord(core, recordName(reference))
    if (record !== undefined) await takeName(core, record)
    if (reference.digest !== undefined) await this.#forgetPlace(reference)
    this.#removals.push({ Untagged: shown(reference) })
    if (isTold) tellImage(events, 'untag', { id: this.#image.id, name: this.#image.id, image: this.#image })
  }

  /** A digest that no record has as its name is known by a label of the content. */
  async #forgetPlace({ domain, repository, digest }: Reference): Promise<void> {
    const { core } = this.#room.engine
    const label = sourceLabel(domain)
    const known = (await blobInfo(core, parseDigest(digest ?? '')))?.labels[label]
    if (known === undefined) return
    const others = known.split(',').filter(name => name !== repository)
    await addLabels(core, digest ?? '', { [label]: others.join(',') })
  }

  async #deleteImage(): Promise<Removal[]> {
    const { catalog, engine } = this.#room
    const image = this.#image
    const gone = this.#users.length > 0 ? [] : await this.#ownLayers()
    const now = (await catalog.all()).find(({ id }) => id === image.id)
    for (const reference of [...(now?.tags ?? []), ...(now?.digests ?? [])]) {
      this.#removals.push({ Untagged: shown(reference) })
      if (reference.digest === undefined) tellImage(engine.events, 'untag', { id: image.id, name: image.id, image })
    }
    const records = now?.records ?? []
    for (const [i, { name }] of records.entries()) await removeRecord(engine.core, name, i === records.length - 1)
    tellImage(engine.events, 'delete', { id: image.id, name: image.id })
    this.#removals.push({ Deleted: image.id }, ...gone.map(chainId => ({ Deleted: chainId })))
    return this.#removals
  }

  /** Layers that no other image has, the uppermost first. */
  async #ownLayers(): Promise<string[]> {
    const others = (await this.#room.catalog.all()).filter(({ id }) => id !== this.#image.id)
    const used = new Set(others.flatMap(({ chainIds }) => chainIds))
    return this.#image.chainIds.filter(chainId => !used.has(chainId)).toReversed()
  }

  /** A running container cannot be overruled, a stopped one by force. */
  #inUse(force: boolean): Error | undefined {
    const running = this.#users.find(({ state }) => ['running', 'paused', 'restarting'].includes(state))
    if (running)
      return this.#conflict('cannot be forced', `image is being used by running container ${shortId(running.id)}`)
    const stopped = this.#users[0]
    if (stopped && !force)
      return this.#conflict('must be forced', `image is being used by stopped container ${shortId(stopped.id)}`)
    return undefined
  }

  #conflict(force: string, why: string): Error {
    return conflict(`conflict: unable to delete ${shortId(this.#image.id)} (${force}) - ${why}`)
  }
}

/** One repository, at most one tag: taking the id takes nothing unexpected. */
function isSingle({ tags, digests }: CatalogImage): boolean {
  const places = new Set([...tags, ...digests].map(({ domain, repository }) => `${domain}/${repository}`))
  return places.size === 1 && tags.length <= 1
}
