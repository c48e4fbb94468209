/** OCIRegistry → ImageStore. */
import { isGantryError, notFound } from '#api/errors/errors.ts'
import type { Digest } from '#api/types/digest.ts'
import { isIndexType, isNonDistributableType, type OciDescriptor, parseIndex, parseManifest } from '#api/types/oci.ts'
import { formatPlatform, hostPlatform } from '#api/types/platform.ts'
import type { Image } from '#core/images/images.ts'
import { formatReference, type Remote } from '#core/remotes/remotes.ts'
import { downloadBlob } from './blob-download.ts'
import { commitVerified, openWriter } from './blob-writing.ts'
import { addLabels, holdBlob, type TransferConfig, type TransferParts } from './context.ts'
import { type ImageNode, type ImageTree, imageFor, readTree } from './image-tree.ts'
import type { ImageUnpacker } from './image-unpacker.ts'
import type { Limiter } from './limiter.ts'
import { indexLabels, manifestLabels, refKey, sourceLabel, withSource } from './object-names.ts'
import { ProgressTracker } from './progress.ts'
import type { LayerOrigin } from './remote-layers.ts'
import type { SingleFlight } from './single-flight.ts'
import { storeImages } from './store-images.ts'
import type { RegistryImage, StoredImage, TransferContext } from './transfer.ts'
import { holdLease } from './transfer-lease.ts'

/** What pulls share. */
export interface PullParts extends TransferParts {
  readonly config: TransferConfig
  readonly unpacker: ImageUnpacker
  readonly downloads: Limiter
  readonly flights: SingleFlight<void>
}

export async function pull(
  parts: PullParts,
  from: RegistryImage,
  to: StoredImage,
  context: TransferContext,
): Promise<Image[]> {
  const progress = new ProgressTracker(to.name, context.onProgress)
  const source = `OCI Registry (${from.reference})`
  progress.say(`Resolving from ${source}`)
  const remote = await parts.remotes.open(from.reference, from)
  await using lease = await holdLease(parts.leases, context.namespace, context.lease)
  // Whatever fails first stops the rest of the pull.
  const stop = new AbortController()
  const signal = AbortSignal.any([context.signal, stop.signal])
  const run = new PullRun(parts, remote, to, { ns: context.namespace, lease: lease.id, signal, progress })
  const root = await remote.resolve(signal)
  progress.say(`Pulling from ${source}`)
  progress.say('fetching image content', { name: to.name, descriptor: root })
  await run.fetchAndUnpack(root, stop)
  const images = await storeImages(parts.images, context.namespace, to, root)
  for (const { name } of images) progress.say('saved', { name, descriptor: root })
  progress.say(`Completed pull from ${source}`)
  return images
}

interface RunOptions {
  readonly ns: string
  readonly lease: string
  readonly signal: AbortSignal
  readonly progress: ProgressTracker
}

interface PlannedUnpack {
  readonly node: ImageNode
  readonly snapshotter: string
  /** Set when the snapshotter may have the layers itself. */
  readonly origin: LayerOrigin | undefined
}

class PullRun {
  readonly #parts: PullParts
  readonly #remote: Remote
  readonly #to: StoredImage
  readonly #options: RunOptions
  readonly #name: string
  readonly #sourceLabel: string
  /** One per blob of this pull, from the moment it is wanted. */
  readonly #blobs = new Map<Digest, Promise<void>>()

  constructor(parts: PullParts, remote: Remote, to: StoredImage, options: RunOptions) {
    this.#parts = parts
    this.#remote = remote
    this.#to = to
    this.#options = options
    this.#name = to.name || formatReference(remote.reference)
    this.#sourceLabel = sourceLabel(remote.reference.domain)
  }

  async fetchAndUnpack(root: OciDescriptor, stop: AbortController): Promise<void> {
    const tree = await readTree(this.#name, root, this.#to, descriptor => this.#manifest(descriptor))
    const unpacks = this.#unpacks(tree)
    const lazy = new Set(unpacks.flatMap(({ node, origin }) => (origin === undefined ? [] : [node])))
    const work = [
      ...tree.images.map(node => this.#fetchImage(node, lazy.has(node))),
      ...unpacks.map(unpack => this.#unpack(unpack)),
    ]
    // The rest stops, and has cleaned up behind itself before we go on.
    await Promise.allSettled(work.map(part => part.catch(error => stop.abort(error))))
    await Promise.allSettled(this.#blobs.values())
    if (stop.signal.aborted) throw stop.signal.reason
  }

  /** From the content store, or from the registry into it. */
  async #manifest(descriptor: OciDescriptor): Promise<Buffer> {
    const { ns, lease, signal, progress } = this.#options
    const { content, leases } = this.#parts
    progress.waiting(descriptor)
    if (await holdBlob(content, leases, ns, lease, descriptor.digest)) {
      const bytes = await content.readAll(ns, descriptor.digest, descriptor.size)
      await addLabels(content, ns, descriptor.digest, await this.#labelsOf(descriptor, bytes))
      progress.exists(descriptor)
      return bytes
    }
    const bytes = await this.#remote.manifest(descriptor, signal)
    await this.#storeManifest(descriptor, bytes, await this.#labelsOf(descriptor, bytes))
    progress.complete(descriptor)
    return bytes
  }

  async #storeManifest(descriptor: OciDescriptor, bytes: Buffer, labels: Record<string, string>): Promise<void> {
    const { ns, lease, signal } = this.#options
    const { content } = this.#parts
    const options = { ref: refKey(descriptor), expected: descriptor.digest, totalBytes: descriptor.size, lease }
    await using writer = await openWriter(content, ns, { ...options, mediaType: descriptor.mediaType }, signal)
    if (writer === undefined) return
    if (writer.offset !== bytes.length) {
      if (writer.offset > 0) await writer.truncate(0)
      await writer.write(bytes)
    }
    await commitVerified(content, ns, writer, descriptor, this.#what(descriptor), labels)
  }

  async #labelsOf(descriptor: OciDescriptor, bytes: Buffer): Promise<Record<string, string>> {
    const of = this.#what(descriptor)
    const children = isIndexType(descriptor.mediaType)
      ? indexLabels(parseIndex(of, bytes))
      : manifestLabels(parseManifest(of, bytes))
    return { ...children, ...(await this.#sourceLabels(descriptor.digest)) }
  }

  async #sourceLabels(digest: Digest): Promise<Record<string, string>> {
    const known = await this.#parts.content.info(this.#options.ns, digest).catch(ignoreMissing)
    return { [this.#sourceLabel]: withSource(known?.labels[this.#sourceLabel], this.#remote.reference.repository) }
  }

  /** `lazy`: its layers are fetched when a snapshotter turns out not to have them. */
  async #fetchImage({ descriptor, manifest, wanted }: ImageNode, lazy: boolean): Promise<void> {
    const { config, layers } = manifest
    const blobs = [config, ...(wanted ? layers.filter(layer => !isLeftOut(layer)) : [])]
    this.#options.progress.adopt(descriptor, blobs)
    await Promise.all((lazy ? [config] : blobs).map(blob => this.#blob(blob)))
  }

  /** Layer `from`; those above it will be wanted next, and come beside it. */
  #layersFrom(layers: readonly OciDescriptor[], from: number): Promise<void> {
    const [wanted, ...next] = layers.slice(from).map(layer => this.#blob(layer))
    for (const layer of next) layer.catch(() => {})
    return wanted ?? Promise.resolve()
  }

  /** The blob in the content store: there, on its way, or started now. */
  #blob(descriptor: OciDescriptor): Promise<void> {
    const known = this.#blobs.get(descriptor.digest)
    if (known) return known
    const fetched = this.#fetchBlob(descriptor)
    this.#blobs.set(descriptor.digest, fetched)
    return fetched
  }

  async #fetchBlob(descriptor: OciDescriptor): Promise<void> {
    const { ns, lease, signal, progress } = this.#options
    const { content, leases, flights, downloads } = this.#parts
    progress.waiting(descriptor)
    const labels = await this.#sourceLabels(descriptor.digest)
    if (await holdBlob(content, leases, ns, lease, descriptor.digest)) {
      await addLabels(content, ns, descriptor.digest, labels)
      progress.exists(descriptor)
      return
    }
    const onBytes = (bytes: number) => progress.moving('downloading', descriptor, bytes)
    const download = {
      content,
      ns,
      lease,
      remote: this.#remote,
      descriptor,
      what: this.#what(descriptor),
      labels,
      onBytes,
    }
    let ours = false
    do {
      const work = (shared: AbortSignal) => {
        ours = true
        return downloads.run(shared, () => downloadBlob(download, shared))
      }
      await flights.run(`${ns} ${descriptor.digest}`, signal, work).catch((error: unknown) => {
        // The first one withdrew, and its lease is gone: then it is our turn.
        if (ours || !isGantryError(error, 'NOT_FOUND')) throw error
      })
      // Another pull's lease may have ended, and the blob with it, before ours has it.
    } while (!ours && !(await holdBlob(content, leases, ns, lease, descriptor.digest)))
    progress.complete(descriptor)
  }

  #unpacks(tree: ImageTree): PlannedUnpack[] {
    const { defaultSnapshotter, mayProvideLayers = () => false } = this.#parts.config
    return this.#to.unpacks.map(unpack => {
      const { platform = hostPlatform() } = unpack
      const snapshotter = unpack.snapshotter || defaultSnapshotter
      const node = imageFor(tree, platform)
      if (node === undefined)
        throw notFound(
          `image "${this.#name}" was pulled without platform ${formatPlatform(platform)}, which is to be unpacked`,
        )
      const origin = { imageRef: formatReference(this.#remote.reference), manifest: node.descriptor.digest }
      return { node, snapshotter, origin: mayProvideLayers(snapshotter) ? origin : undefined }
    })
  }

  async #unpack({ node, snapshotter, origin }: PlannedUnpack): Promise<void> {
    const { ns, lease, signal, progress } = this.#options
    const what = `image "${this.#name}"`
    const { config, layers } = node.manifest
    await this.#blob(config)
    const summary = await this.#parts.unpacker.readConfig(ns, what, node)
    await this.#parts.unpacker.unpackNode(node, summary, {
      ...{ ns, what, snapshotter, lease, signal, origin },
      ready: i => (origin === undefined ? this.#blob(layers[i] as OciDescriptor) : this.#layersFrom(layers, i)),
      onLayer: (event, layer) => {
        if (event === 'extracted') progress.extracted(layer)
        else if (event === 'provided') progress.exists(layer)
        else progress.moving(event, layer, 0)
      },
    })
  }

  #what(descriptor: OciDescriptor): string {
    return `image "${this.#name}": ${refKey(descriptor).replace('-', ' ')}`
  }
}

/** Layers with addresses of their own are not in the registry (Windows base layers). */
function isLeftOut({ mediaType, urls }: OciDescriptor): boolean {
  return isNonDistributableType(mediaType) && urls !== undefined
}

function ignoreMissing(error: unknown): undefined {
  if (!isGantryError(error, 'NOT_FOUND')) throw error
  return undefined
}
