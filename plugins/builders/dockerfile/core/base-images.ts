/** What FROM names: an image that is here or is fetched, as a root to build on. */

import { readBlob } from '#api/content/read-blob.ts'
import { isGantryError, notFound } from '#api/errors/errors.ts'
import { ImageStore } from '#api/gen/containerd/types/transfer/imagestore.ts'
import { OCIRegistry } from '#api/gen/containerd/types/transfer/registry.ts'
import { isIndexType, parseIndex, parseManifest } from '#api/types/oci.ts'
import type { Platform } from '#api/types/platform.ts'
import { formatReference, parseReference } from '#api/types/reference.ts'
import { type ImageConfig, readImageConfig } from '../image/image-config.ts'
import type { Root } from '../solve/stage-state.ts'
import type { Core } from './clients.ts'
import { chain } from './layers.ts'

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
  /** By registry: folder of hosts.toml files that is asked in place of the core's own. */
  readonly hostsFolders: Readonly<Record<string, string>>
  readonly lease: string
  readonly signal: AbortSignal
}

/** NOT_FOUND: neither here nor in its registry. */
export async function baseImage(core: Core, text: string, options: BaseOptions): Promise<BaseImage> {
  const name = formatReference(parseReference(text))
  if (options.pull || !(await isHere(core, name))) await pull(core, name, options)
  await unpack(core, name, options)
  const { image } = await core.images.get({ name })
  const target = image?.target
  if (target === undefined) throw notFound(`image "${name}"`)
  const manifest = await manifestOf(core, name, target, options.platform)
  const config = readImageConfig(name, await requireBlob(core, manifest.config.digest))
  const layers = manifest.layers.map(({ mediaType, digest, size }, at) => ({
    descriptor: { mediaType, digest, size: BigInt(size), annotations: {} },
    diffID: config.rootfs.diff_ids[at] ?? '',
  }))
  const chainID = config.rootfs.diff_ids.reduce(chain, '')
  return { name, digest: target.digest, configDigest: manifest.config.digest, config, root: { chainID, layers } }
}

async function isHere({ images }: Core, name: string): Promise<boolean> {
  try {
    await images.get({ name })
    return true
  } catch (error) {
    if (isGantryError(error, 'NOT_FOUND')) return false
    throw error
  }
}

async function pull(
  core: Core,
  name: string,
  { platform, snapshotter, hostsFolders, lease, signal }: BaseOptions,
): Promise<void> {
  const hostDir = hostsFolders[parseReference(name).domain] ?? ''
  const wanted = { osVersion: '', osFeatures: [], ...platform }
  const source = OCIRegistry.fromPartial({ reference: name, resolver: { hostDir } })
  const destination = ImageStore.fromPartial({
    name,
    platforms: [wanted],
    unpacks: [{ platform: wanted, snapshotter }],
  })
  const encode = <T>(codec: { encode(message: T): { finish(): Uint8Array } }, message: T) =>
    Buffer.from(codec.encode(message).finish())
  await core.transfer.transfer(
    {
      source: { typeUrl: 'containerd.types.transfer.OCIRegistry', value: encode(OCIRegistry, source) },
      destination: { typeUrl: 'containerd.types.transfer.ImageStore', value: encode(ImageStore, destination) },
    },
    { lease, signal },
  )
}

/** The core unpacks an image when a container is made of it; the record is not needed longer. */
async function unpack(core: Core, image: string, { snapshotter, lease, signal }: BaseOptions): Promise<void> {
  const id = `build-base-${crypto.randomUUID()}`
  await core.containers.create(
    { config: { id, image, snapshotter, networks: [{ network: 'none' }] } },
    { lease, signal },
  )
  await core.records.delete({ id })
}

async function manifestOf(core: Core, name: string, target: { mediaType: string; digest: string }, wanted: Platform) {
  if (!isIndexType(target.mediaType)) return parseManifest(name, await requireBlob(core, target.digest))
  const { manifests } = parseIndex(name, await requireBlob(core, target.digest))
  const fits = ({ platform }: (typeof manifests)[number]) =>
    platform?.os === wanted.os &&
    platform.architecture === wanted.architecture &&
    (wanted.variant === '' || (platform.variant ?? '') === wanted.variant)
  const chosen = manifests.find(fits)
  if (chosen === undefined) throw notFound(`image "${name}" for ${wanted.os}/${wanted.architecture}`)
  return parseManifest(name, await requireBlob(core, chosen.digest))
}

/** NOT_FOUND: the image's record is here, a part of it is not. */
async function requireBlob(core: Core, digest: string): Promise<Buffer> {
  const bytes = await readBlob(core, digest)
  if (bytes === undefined) throw notFound(`content ${digest}`)
  return bytes
}
