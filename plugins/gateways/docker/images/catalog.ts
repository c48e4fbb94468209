/**
 * The core's image records as Docker's images. Docker knows an image by the digest of its configuration and gives it
 * any number of names; the core has one record per name. Records with one configuration are one image here.
 */

import { blobInfo } from '#api/content/read-blob.ts'
import type { Image } from '#api/gen/containerd/services/images/v1/images.ts'
import type { Descriptor } from '#api/gen/containerd/types/descriptor.ts'
import { isDigest } from '#api/types/digest.ts'
import { formatPlatform, type Platform } from '#api/types/platform.ts'
import type { Reference } from '#api/types/reference.ts'
import type { Core } from '../core-client/core.ts'
import { notFound } from '../http/http-error.ts'
import { type ImageTarget, ImageTargets } from './image-target.ts'
import { parseName, readRecordName, recordName, shown } from './names.ts'

/** An image, with everything that names it. */
export interface CatalogImage extends ImageTarget {
  /** Never empty. */
  readonly records: readonly Image[]
  /** Of the first record: what a container is made from. */
  readonly target: Descriptor
  /** In Docker's order: by name. */
  readonly tags: readonly Reference[]
  /** Repositories it is known to be in, by the digest of the record's target. */
  readonly digests: readonly Reference[]
}

/** Label of a blob that lists the repositories it came from or went to. */
export const sourceLabel = (domain: string): string => `containerd.io/distribution.source.${domain}`

export class Catalog {
  readonly #core: Core
  readonly targets: ImageTargets

  constructor(core: Core) {
    this.#core = core
    this.targets = new ImageTargets(core)
  }

  /** All images, the newest first. Records whose content is not here are left out. */
  async all(): Promise<CatalogImage[]> {
    const { images } = await this.#core.images.list({ filters: [] })
    return this.#gather(images)
  }

  /** Docker's 404 and 400. With a platform: that one of a multi-platform image. */
  async resolve(text: string, platform?: Platform): Promise<CatalogImage> {
    const found = await this.find(text)
    if (found === undefined) throw noSuchImage(text)
    if (platform === undefined) return found
    for (const { target } of found.records) {
      const other = target && (await this.targets.read(target, platform))
      if (other) return other.id === found.id ? found : { ...found, ...other, target }
    }
    throw notFound(
      `image with reference ${text} was found but its platform (${formatPlatform(found.platform)}) does not match the specified platform (${formatPlatform(platform)})`,
    )
  }

  /** By name, id, short id or digest: first as a name, as Docker. */
  async find(text: string): Promise<CatalogImage | undefined> {
    const images = await this.all()
    return isIdLike(text) ? byId(images, text) : (byName(images, parseName(text)) ?? byId(images, text))
  }

  async #gather(images: readonly Image[]): Promise<CatalogImage[]> {
    const read = await Promise.all(
      images.map(async image => ({ image, content: image.target && (await this.targets.read(image.target)) })),
    )
    const byContent = new Map<string, { content: ImageTarget; records: Image[] }>()
    for (const { image, content } of read) {
      if (content === undefined) continue
      const entry = byContent.get(content.id) ?? { content, records: [] }
      entry.records.push(image)
      byContent.set(content.id, entry)
    }
    const all = await Promise.all([...byContent.values()].map(({ content, records }) => this.#image(content, records)))
    return all.toSorted((a, b) => createdOf(b) - createdOf(a) || a.id.localeCompare(b.id))
  }

  async #image(content: ImageTarget, records: readonly Image[]): Promise<CatalogImage> {
    const named = records.flatMap(record => {
      const reference = readRecordName(record.name)
      return reference ? [{ record, reference }] : []
    })
    const tags = named.filter(({ reference }) => reference.digest === undefined).map(({ reference }) => reference)
    const digests = await Promise.all(named.map(({ record, reference }) => this.#digestOf(record, reference)))
    return {
      ...content,
      records,
      target: records[0]?.target as Descriptor,
      tags: unique(tags),
      digests: unique(digests.filter(digest => digest !== undefined)),
    }
  }

  /** A tag made here has no digest in any repository until it is pushed. */
  async #digestOf({ target }: Image, { domain, repository, digest }: Reference): Promise<Reference | undefined> {
    if (digest !== undefined) return { domain, repository, digest }
    if (!target || !isDigest(target.digest)) return undefined
    const info = await blobInfo(this.#core, target.digest)
    const repositories = info?.labels[sourceLabel(domain)]?.split(',') ?? []
    return repositories.includes(repository) ? { domain, repository, digest: target.digest } : undefined
  }
}

export function noSuchImage(text: string): Error {
  if (isIdLike(text)) return notFound(`No such image: ${text}`)
  return notFound(`No such image: ${shown(parseName(text))}`)
}

function isIdLike(text: string): boolean {
  return /^sha256:[0-9a-f]+$/.test(text) || /^[0-9a-f]{64}$/.test(text)
}

function byName(images: readonly CatalogImage[], wanted: Reference): CatalogImage | undefined {
  const name = recordName(wanted)
  const recorded = images.find(({ records }) => records.some(record => record.name === name))
  if (recorded || wanted.digest === undefined) return recorded
  return images.find(({ digests }) => digests.some(digest => recordName(digest) === name))
}

/** A prefix that fits two images names none. The digests of manifest and index are good too. */
function byId(images: readonly CatalogImage[], text: string): CatalogImage | undefined {
  const hex = text.replace(/^sha256:/, '')
  if (!/^[0-9a-f]{1,64}$/.test(hex)) return undefined
  const fits = (digest: string) => digest.startsWith(`sha256:${hex}`)
  const found = images.filter(image => fits(image.id))
  if (found.length === 1) return found[0]
  if (found.length > 1 || hex.length < 64) return undefined
  return images.find(
    image => fits(image.manifest.digest) || image.records.some(({ target }) => fits(target?.digest ?? '')),
  )
}

function createdOf({ json }: ImageTarget): number {
  const at = Date.parse(json.created ?? '')
  return Number.isNaN(at) ? 0 : at
}

function unique(references: readonly Reference[]): Reference[] {
  const byText = new Map(references.map(reference => [shown(reference), reference]))
  return [...byText].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, reference]) => reference)
}
