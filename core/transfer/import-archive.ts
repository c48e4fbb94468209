/** ImageImportStream → ImageStore. */
import { notFound } from '#api/errors/errors.ts'
import type { OciDescriptor } from '#api/types/oci.ts'
import { formatPlatform, hostPlatform, type Platform, platformMatches } from '#api/types/platform.ts'
import type { Image } from '#core/images/images.ts'
import { type ArchiveIndex, readArchiveIndex } from './archive-index.ts'
import { readArchive } from './archive-reader.ts'
import { addLabels, hasBlob, storedManifests } from './context.ts'
import { type ImageTree, imageFor, readTree } from './image-tree.ts'
import { contentResource, indexLabels, manifestLabels } from './object-names.ts'
import { ProgressTracker } from './progress.ts'
import type { PullParts } from './pull.ts'
import { storeImported } from './store-images.ts'
import type { StoredImage, TransferContext } from './transfer.ts'
import { holdLease } from './transfer-lease.ts'

export async function importArchive(
  parts: PullParts,
  archive: AsyncIterable<Uint8Array>,
  to: StoredImage,
  context: TransferContext & { forceCompress?: boolean },
): Promise<Image[]> {
  const { namespace: ns, signal, forceCompress = false } = context
  const progress = new ProgressTracker(to.name, context.onProgress)
  progress.say('Importing')
  await using lease = await holdLease(parts.leases, ns, context.lease)
  const target = { content: parts.content, ns, lease: lease.id, signal, forceCompress }
  const index = await readArchiveIndex(await readArchive(archive, target), target)
  const run = new ImportRun(parts, to, { ns, lease: lease.id, signal, progress })
  for (const manifest of chosen(index, to.platforms)) await run.take(manifest)
  if (to.name !== '') await addLabels(parts.content, ns, index.root.digest, indexLabels(index))
  const images = await storeImported(parts.images, ns, to, index)
  for (const { name } of images) progress.say('saved', { name })
  progress.say('Completed import')
  return images
}

/** Manifests that say they are of another platform than asked for are left out. */
function chosen({ manifests }: ArchiveIndex, platforms: readonly Platform[]): OciDescriptor[] {
  if (platforms.length === 0) return [...manifests]
  const wanted = manifests.filter(
    ({ platform }) => !platform || platforms.some(candidate => platformMatches(candidate, platform)),
  )
  if (wanted.length > 0) return wanted
  const has = manifests.map(({ platform }) => (platform ? formatPlatform(platform) : 'unknown')).join(', ')
  throw notFound(
    `the archive has no image for platform ${platforms.map(formatPlatform).join(', ')}; it has ${has || 'none'}`,
  )
}

interface RunOptions {
  readonly ns: string
  readonly lease: string
  readonly signal: AbortSignal
  readonly progress: ProgressTracker
}

class ImportRun {
  readonly #parts: PullParts
  readonly #to: StoredImage
  readonly #options: RunOptions

  constructor(parts: PullParts, to: StoredImage, options: RunOptions) {
    this.#parts = parts
    this.#to = to
    this.#options = options
  }

  /** One image of the archive: complete, labelled, unpacked. */
  async take(root: OciDescriptor): Promise<void> {
    const { ns } = this.#options
    const { content } = this.#parts
    const name = this.#to.name || root.digest
    const selection = { platforms: this.#to.platforms, skipMissing: true }
    const tree = await readTree(name, root, selection, storedManifests(content, ns, name))
    await this.#requireBlobs(name, tree)
    for (const { descriptor, index } of tree.indexes)
      await addLabels(content, ns, descriptor.digest, indexLabels(index))
    for (const { descriptor, manifest } of tree.images)
      await addLabels(content, ns, descriptor.digest, manifestLabels(manifest))
    for (const unpack of this.#to.unpacks) await this.#unpack(name, tree, unpack)
  }

  /** An archive may leave out what its reader has; what nobody has is an error here and not at the first run. */
  async #requireBlobs(name: string, { images }: ImageTree): Promise<void> {
    const { ns, lease, progress } = this.#options
    for (const { descriptor, manifest } of images) {
      for (const blob of [manifest.config, ...manifest.layers]) {
        await this.#parts.leases.addResource(ns, lease, contentResource(blob.digest))
        if (!(await hasBlob(this.#parts.content, ns, blob.digest)))
          throw notFound(
            `image "${name}": manifest ${descriptor.digest} needs blob ${blob.digest}, which the archive lacks`,
          )
        progress.exists(blob)
      }
    }
  }

  async #unpack(name: string, tree: ImageTree, unpack: StoredImage['unpacks'][number]): Promise<void> {
    const { ns, lease, signal, progress } = this.#options
    const { unpacker, config } = this.#parts
    const platform = unpack.platform ?? hostPlatform()
    const node = imageFor(tree, platform)
    if (node === undefined)
      throw notFound(
        `image "${name}" of the archive has no manifest for platform ${formatPlatform(platform)}, which is to be unpacked`,
      )
    const what = `image "${name}"`
    await unpacker.unpackNode(node, await unpacker.readConfig(ns, what, node), {
      ...{ ns, what, snapshotter: unpack.snapshotter || config.defaultSnapshotter, lease, signal },
      onLayer: (event, layer) => (event === 'extracted' ? progress.extracted(layer) : progress.moving(event, layer, 0)),
    })
  }
}
