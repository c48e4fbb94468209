/** What FROM names: an image that is here or is fetched, as a root to build on. */

import { readBlob } from '#api/content/read-blob.ts'
import { isGantryError, notFound } from '#api/errors/errors.ts'
import { isIndexType, parseIndex, parseManifest } from '#api/types/oci.ts'
import { formatPlatform, type Platform } from '#api/types/platform.ts'
import { formatReference, parseReference } from '#api/types/reference.ts'
import { type ImageConfig, readImageConfig } from '../image/image-config.ts'
import type { Layer, Root } from '../solve/stage-state.ts'
import type { Core } from './clients.ts'
import { isHost } from './emulation.ts'
import { chain, type Layers } from './layers.ts'
import type { Registries } from './registries.ts'

export interface BaseImage {
  /** Name of its record. */
  readonly name: string
  /** What its name points to: a manifest or an index. */
  readonly digest: string
  readonly configDigest: string
  readonly config: ImageConfig
  readonly root: Root
}

export interface BaseOptions {
  readonly platform: Platform
  readonly snapshotter: string
  /** Ask the registry even when the image is here. */
  readonly pull: boolean
  readonly registries: Registries
  readonly layers: Layers
  readonly lease: string
  readonly signal: AbortSignal
}

/** NOT_FOUND: neither here nor in its registry. */
export async function baseImage(core: Core, text: string, options: BaseOptions): Promise<BaseImage> {
  const name = formatReference(parseReference(text))
  const { platform, snapshotter, registries, signal } = options
  if (options.pull || !(await isHere(core, name, platform)))
    await registries.pull({ reference: name, name, platforms: [platform], unpackIn: snapshotter }, signal)
  const { image } = await core.images.get({ name })
  const target = image?.target
  if (target === undefined) throw notFound(`image "${name}"`)
  const read = (digest: string) => requireBlob(core, digest)
  const { configDigest, config, layers } = await readImage(name, target, options.platform, read)
  const root = { chainID: config.rootfs.diff_ids.reduce(chain, ''), layers }
  if (root.chainID !== '' && !(await options.layers.hold(root))) {
    if (isHost(platform)) await unpack(core, name, options)
    else await options.layers.unpack(layers)
  }
  return { name, digest: target.digest, configDigest, config, root }
}

/** What manifest and configuration say of an image, wherever they are read from. NOT_FOUND: not for that platform. */
export async function readImage(
  name: string,
  target: { readonly mediaType: string; readonly digest: string },
  platform: Platform,
  read: (digest: string) => Promise<Buffer>,
): Promise<{ configDigest: string; config: ImageConfig; layers: Layer[] }> {
  const manifest = await manifestOf(name, target, platform, read)
  const config = readImageConfig(name, await read(manifest.config.digest))
  const layers = manifest.layers.map(({ mediaType, digest, size }, at) => ({
    descriptor: { mediaType, digest, size: BigInt(size), annotations: {} },
    diffID: config.rootfs.diff_ids[at] ?? '',
  }))
  return { configDigest: manifest.config.digest, config, layers }
}

/** Its record, and what it says of the platform. */
async function isHere(core: Core, name: string, platform: Platform): Promise<boolean> {
  try {
    const { image } = await core.images.get({ name })
    if (image?.target !== undefined) await readImage(name, image.target, platform, digest => requireBlob(core, digest))
    return image?.target !== undefined
  } catch (error) {
    if (isGantryError(error, 'NOT_FOUND')) return false
    throw error
  }
}

/** The core unpacks an image when a container is made of it; the record is not needed longer. */
async function unpack(core: Core, image: string, { snapshotter, lease, signal }: BaseOptions): Promise<void> {
  const id = `build-base-${crypto.randomUUID()}`
  await core.containers.create(
    // An image need not have a command: this one is never started.
    { config: { id, image, snapshotter, networks: [{ network: 'none' }], process: { args: ['none'] } } },
    { lease, signal },
  )
  await core.records.delete({ id })
}

async function manifestOf(
  name: string,
  target: { readonly mediaType: string; readonly digest: string },
  wanted: Platform,
  read: (digest: string) => Promise<Buffer>,
) {
  if (!isIndexType(target.mediaType)) return parseManifest(name, await read(target.digest))
  const { manifests } = parseIndex(name, await read(target.digest))
  const fits = ({ platform }: (typeof manifests)[number]) =>
    platform?.os === wanted.os &&
    platform.architecture === wanted.architecture &&
    (wanted.variant === '' || (platform.variant ?? '') === wanted.variant)
  const chosen = manifests.find(fits)
  if (chosen === undefined) throw notFound(`image "${name}" for ${formatPlatform(wanted)}`)
  return parseManifest(name, await read(chosen.digest))
}

/** NOT_FOUND: the image's record is here, a part of it is not. */
export async function requireBlob(core: Core, digest: string): Promise<Buffer> {
  const bytes = await readBlob(core, digest)
  if (bytes === undefined) throw notFound(`content ${digest}`)
  return bytes
}
