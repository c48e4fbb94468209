/** Names given and taken. Whatever loses its last name keeps a record, so that it stays until somebody removes it. */

import { blobInfo } from '#api/content/read-blob.ts'
import { isGantryError } from '#api/errors/errors.ts'
import type { Image } from '#api/gen/containerd/services/images/v1/images.ts'
import type { Descriptor } from '#api/gen/containerd/types/descriptor.ts'
import { parseDigest } from '#api/types/digest.ts'
import type { Core } from '../core-client/core.ts'
import { sourceLabel } from './catalog.ts'
import { danglingName, readRecordName, recordName } from './names.ts'

export async function findRecord({ images }: Core, name: string): Promise<Image | undefined> {
  try {
    return (await images.get({ name })).image
  } catch (error) {
    if (isGantryError(error, 'NOT_FOUND')) return undefined
    throw error
  }
}

/** Gives a name to an image; the one that had it stays, without. */
export async function putRecord(core: Core, name: string, target: Descriptor): Promise<void> {
  const before = await findRecord(core, name)
  if (before?.target?.digest === target.digest) return
  if (before !== undefined) await keepNameless(core, before)
  const image = { name, target, labels: {} }
  try {
    if (before === undefined) await core.images.create({ image })
    else await core.images.update({ image })
  } catch (error) {
    if (!isGantryError(error, 'ALREADY_EXISTS') && !isGantryError(error, 'NOT_FOUND')) throw error
    return putRecord(core, name, target)
  }
}

/** Takes a name away. When it was the last, the image stays as nameless. */
export async function takeName(core: Core, record: Image): Promise<void> {
  await keepNameless(core, record)
  await removeRecord(core, record.name)
}

/** `sync` waits until what only this record kept is gone. */
export async function removeRecord({ images }: Core, name: string, sync = false): Promise<void> {
  try {
    await images.delete({ name, sync })
  } catch (error) {
    if (!isGantryError(error, 'NOT_FOUND')) throw error
  }
}

/** Makes sure that a record other than this one keeps the image. */
async function keepNameless(core: Core, { name, target }: Image): Promise<void> {
  if (target === undefined) return
  const { images } = await core.images.list({ filters: [withTarget(target)] })
  if (images.some(other => other.name !== name)) return
  const image = { name: danglingName(target.digest), target, labels: {} }
  try {
    await core.images.create({ image })
  } catch (error) {
    if (!isGantryError(error, 'ALREADY_EXISTS')) throw error
  }
}

/** The name by digest that a displaced image is known by; undefined when no registry has it. */
async function digestName(core: Core, name: string, target: Descriptor): Promise<string | undefined> {
  const reference = readRecordName(name)
  if (reference === undefined) return undefined
  const { domain, repository } = reference
  const repositories = (await blobInfo(core, target.digest))?.labels[sourceLabel(domain)]?.split(',') ?? []
  return repositories.includes(repository)
    ? recordName({ domain, repository, digest: parseDigest(target.digest) })
    : undefined
}

/**
 * Runs something that may give names to other images (a pull, a load); images that lose their last name by it stay.
 * Their content is held meanwhile.
 */
export async function keepingDisplaced<T>(
  core: Core,
  names: readonly string[] | 'any',
  change: () => Promise<T>,
): Promise<T> {
  const before = names === 'any' ? (await core.images.list({ filters: [] })).images : await existing(core, names)
  await using _held = await holdTargets(core, before)
  const result = await change()
  for (const record of before) await keepIfDisplaced(core, record)
  return result
}

async function existing(core: Core, names: readonly string[]): Promise<Image[]> {
  const found = await Promise.all(names.map(name => findRecord(core, name)))
  return found.filter(image => image !== undefined)
}

async function keepIfDisplaced(core: Core, record: Image): Promise<void> {
  const { name, target } = record
  const now = await findRecord(core, name)
  if (target === undefined || now?.target?.digest === target.digest) return
  const { images } = await core.images.list({ filters: [withTarget(target)] })
  if (images.length > 0) return
  const kept = (await digestName(core, name, target)) ?? danglingName(target.digest)
  await core.images.create({ image: { name: kept, target, labels: {} } })
}

function withTarget({ digest }: Descriptor): string {
  return `target.digest==${JSON.stringify(digest)}`
}

/** A lease on images' content for as long as this lives; it expires by itself if we die. */
async function holdTargets(core: Core, images: readonly Image[]): Promise<AsyncDisposable> {
  const id = `docker-${crypto.randomUUID()}`
  if (images.length > 0) {
    await core.leases.create({ id, labels: { 'containerd.io/gc.expire': inOneHour() } })
    for (const { target } of images)
      if (target) await core.leases.addResource({ id, resource: { id: target.digest, type: 'content' } })
  }
  return {
    async [Symbol.asyncDispose]() {
      if (images.length > 0) await core.leases.delete({ id }).catch(() => {})
    },
  }
}

export function inOneHour(): string {
  return new Date(Date.now() + 3_600_000).toISOString()
}
