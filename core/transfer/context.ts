/** What the verbs of a transfer share. */

import { invalidArgument, isGantryError, notFound } from '#api/errors/errors.ts'
import type { Logger } from '#api/log/log.ts'
import { type Digest, isDigest } from '#api/types/digest.ts'
import { maxManifestBytes, type OciDescriptor } from '#api/types/oci.ts'
import type { ContentStore } from '#core/content/content.ts'
import type { Diffs } from '#core/diff/diff.ts'
import type { Descriptor, Image, Images } from '#core/images/images.ts'
import type { Leases } from '#core/leases/leases.ts'
import type { Remotes } from '#core/remotes/remotes.ts'
import type { Snapshots } from '#core/snapshots/snapshots.ts'
import { contentResource } from './object-names.ts'

/** The rooms a transfer works with. */
export interface TransferParts {
  readonly content: ContentStore
  readonly images: Images
  readonly leases: Leases
  readonly snapshots: Snapshots
  readonly diffs: Diffs
  readonly remotes: Remotes
  readonly logger: Logger
}

export interface TransferConfig {
  /** For unpacks that name none. */
  readonly defaultSnapshotter: string
  /**
   * True of a snapshotter that may have layers before anybody downloads them (a remote snapshotter): it is asked first,
   * and a layer it has is not fetched. Default: none is.
   */
  readonly mayProvideLayers?: (snapshotter: string) => boolean
  /** Blobs downloaded at once, for the whole daemon; default 3. */
  readonly maxDownloads?: number
  /** Blobs uploaded at once; default 3. */
  readonly maxUploads?: number
  /** Layers unpacked at once; default 2. */
  readonly maxUnpacks?: number
  /** Unpacked layers are on stable storage before they are committed; default true. */
  readonly syncLayers?: boolean
}

/** A record's target as a checked descriptor. */
export function ociDescriptor(target: Descriptor): OciDescriptor {
  const { mediaType, digest, size, annotations } = target
  if (!isDigest(digest)) throw invalidArgument(`image target "${digest}" is no sha256 digest`)
  return { mediaType, digest, size: Number(size), annotations }
}

/** The reverse, for records. */
export function recordTarget({ mediaType, digest, size, annotations }: OciDescriptor): Descriptor {
  return { mediaType, digest, size: BigInt(size), annotations }
}

/** A reader of manifests that are in the content store; NOT_FOUND says what is missing. */
export function storedManifests(content: ContentStore, ns: string, of: string) {
  return async (descriptor: OciDescriptor): Promise<Buffer> => {
    try {
      return await content.readAll(ns, descriptor.digest, maxManifestBytes)
    } catch (cause) {
      if (!isGantryError(cause, 'NOT_FOUND')) throw cause
      throw notFound(`image "${of}": content ${descriptor.digest} is not here, pull it`, { cause })
    }
  }
}

/** True when the namespace has the blob. */
export async function hasBlob(content: ContentStore, ns: string, digest: Digest): Promise<boolean> {
  try {
    await content.info(ns, digest)
    return true
  } catch (error) {
    if (isGantryError(error, 'NOT_FOUND')) return false
    throw error
  }
}

/** True when the namespace has the blob and the lease holds it now: held first, looked at again. */
export async function holdBlob(
  content: ContentStore,
  leases: Leases,
  ns: string,
  lease: string,
  digest: Digest,
): Promise<boolean> {
  if (!(await hasBlob(content, ns, digest))) return false
  await leases.addResource(ns, lease, contentResource(digest))
  return hasBlob(content, ns, digest)
}

/** Adds labels to a blob; those it has already are left as they are. */
export async function addLabels(
  content: ContentStore,
  ns: string,
  digest: Digest,
  labels: Readonly<Record<string, string>>,
): Promise<void> {
  const { labels: present } = await content.info(ns, digest)
  const missing = Object.entries(labels).filter(([key, value]) => present[key] !== value)
  if (missing.length === 0) return
  await content.update(
    ns,
    { digest, labels: Object.fromEntries(missing) },
    missing.map(([key]) => `labels.${key}`),
  )
}

/** Writes a record, new or in place of one of that name. */
export async function putImage(
  images: Images,
  ns: string,
  image: { name: string; labels: Readonly<Record<string, string>>; target: OciDescriptor },
): Promise<Image> {
  const spec = { ...image, target: recordTarget(image.target) }
  for (;;) {
    try {
      return await images.create(ns, spec)
    } catch (error) {
      if (!isGantryError(error, 'ALREADY_EXISTS')) throw error
    }
    try {
      return await images.update(ns, spec)
    } catch (error) {
      // Removed in between: then it can be made.
      if (!isGantryError(error, 'NOT_FOUND')) throw error
    }
  }
}
