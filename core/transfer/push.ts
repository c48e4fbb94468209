/** ImageStore → OCIRegistry. */
import type { Readable } from 'node:stream'
import { isGantryError, notFound } from '#api/errors/errors.ts'
import { isIndexType, isNonDistributableType, type OciDescriptor } from '#api/types/oci.ts'
import { formatPlatform } from '#api/types/platform.ts'
import type { BlobReader } from '#core/content/content.ts'
import type { Remote } from '#core/remotes/remotes.ts'
import { addLabels, ociDescriptor, storedManifests, type TransferParts } from './context.ts'
import { type ImageTree, imageFor, readTree } from './image-tree.ts'
import type { Limiter } from './limiter.ts'
import { refKey, sourceLabel, withSource } from './object-names.ts'
import { ProgressTracker } from './progress.ts'
import type { RegistryImage, StoredImage, TransferContext } from './transfer.ts'

/** What pushes share. */
export interface PushParts extends TransferParts {
  readonly uploads: Limiter
}

export async function push(
  parts: PushParts,
  from: StoredImage,
  to: RegistryImage,
  context: TransferContext,
): Promise<void> {
  const image = await parts.images.get(context.namespace, from.name)
  const progress = new ProgressTracker(image.name, context.onProgress)
  const destination = `OCI Registry (${to.reference})`
  const descriptor = ociDescriptor(image.target)
  progress.say(`Pushing to ${destination}`)
  progress.say('pushing content', { name: image.name, descriptor })
  const remote = await parts.remotes.open(to.reference, to)
  const tree = await chosenTree(parts, image.name, descriptor, from, context)
  const stop = new AbortController()
  const signal = AbortSignal.any([context.signal, stop.signal])
  const run = new PushRun(parts, remote, { ns: context.namespace, of: image.name, signal, progress })
  await run.blobs(tree, stop)
  await run.manifests(tree)
  progress.say('pushed content', { name: image.name, descriptor })
  progress.say(`Completed push to ${destination}`, { descriptor })
}

/** With one platform asked for of an index, the tag becomes that platform's manifest: registries refuse half an index. */
async function chosenTree(
  { content }: PushParts,
  name: string,
  root: OciDescriptor,
  { platforms }: StoredImage,
  { namespace }: TransferContext,
): Promise<ImageTree> {
  const read = storedManifests(content, namespace, name)
  if (platforms.length !== 1 || !isIndexType(root.mediaType)) return readTree(name, root, { platforms: [] }, read)
  const [platform] = platforms
  const tree = await readTree(name, root, { platforms }, read)
  const node = platform && imageFor(tree, platform)
  if (!node) throw notFound(`image "${name}" has no manifest for platform ${platform ? formatPlatform(platform) : ''}`)
  return { root: node.descriptor, indexes: [], images: [node] }
}

interface RunOptions {
  readonly ns: string
  readonly of: string
  readonly signal: AbortSignal
  readonly progress: ProgressTracker
}

class PushRun {
  readonly #parts: PushParts
  readonly #remote: Remote
  readonly #options: RunOptions

  constructor(parts: PushParts, remote: Remote, options: RunOptions) {
    this.#parts = parts
    this.#remote = remote
    this.#options = options
  }

  async blobs({ images }: ImageTree, stop: AbortController): Promise<void> {
    const { signal, progress } = this.#options
    const unique = new Map<string, OciDescriptor>()
    for (const { descriptor, manifest } of images) {
      const blobs = [...manifest.layers, manifest.config].filter(blob => !isForeign(blob))
      progress.adopt(descriptor, blobs)
      for (const blob of blobs) unique.set(blob.digest, blob)
    }
    const work = Array.from(unique.values(), blob => this.#parts.uploads.run(signal, () => this.#blob(blob)))
    await Promise.allSettled(work.map(part => part.catch(error => stop.abort(error))))
    if (stop.signal.aborted) throw stop.signal.reason
  }

  /** Children before parents, the tag last: what a tag shows is complete. */
  async manifests({ root, indexes, images }: ImageTree): Promise<void> {
    const all = [...images, ...indexes.toReversed()].map(node => node.descriptor)
    for (const descriptor of all) await this.#manifest(descriptor, descriptor.digest === root.digest)
  }

  async #blob(descriptor: OciDescriptor): Promise<void> {
    const { ns, signal, progress } = this.#options
    progress.waiting(descriptor)
    await using blob = await this.#stored(descriptor)
    const source = {
      open: (offset: number): Readable => blob.stream(offset),
      mountFrom: await this.#otherRepositories(descriptor),
      onProgress: (bytes: number) => progress.moving('uploading', descriptor, bytes),
    }
    const outcome = await this.#remote.pushBlob(descriptor, source, signal)
    await this.#remember(ns, descriptor)
    if (outcome === 'uploaded') progress.complete(descriptor)
    else progress.exists(descriptor)
  }

  async #manifest(descriptor: OciDescriptor, isRoot: boolean): Promise<void> {
    const { ns, of, signal, progress } = this.#options
    progress.waiting(descriptor)
    const bytes = await storedManifests(this.#parts.content, ns, of)(descriptor)
    const tag = isRoot ? this.#remote.reference.tag : undefined
    const outcome = await this.#remote.pushManifest(descriptor, bytes, { tag, signal })
    if (outcome === 'uploaded') progress.complete(descriptor)
    else progress.exists(descriptor)
  }

  async #stored(descriptor: OciDescriptor): Promise<BlobReader> {
    const { ns, of } = this.#options
    try {
      return await this.#parts.content.reader(ns, descriptor.digest)
    } catch (cause) {
      if (!isGantryError(cause, 'NOT_FOUND')) throw cause
      const hint = 'pull all platforms, or push one with its platform named'
      throw notFound(`image "${of}": ${refKey(descriptor).replace('-', ' ')} is not here; ${hint}`, { cause })
    }
  }

  async #otherRepositories({ digest }: OciDescriptor): Promise<string[]> {
    const { domain, repository } = this.#remote.reference
    const { labels } = await this.#parts.content.info(this.#options.ns, digest)
    return (labels[sourceLabel(domain)] ?? '').split(',').filter(name => name !== '' && name !== repository)
  }

  async #remember(ns: string, { digest }: OciDescriptor): Promise<void> {
    const { domain, repository } = this.#remote.reference
    const label = sourceLabel(domain)
    const { labels } = await this.#parts.content.info(ns, digest)
    await addLabels(this.#parts.content, ns, digest, { [label]: withSource(labels[label], repository) })
  }
}

function isForeign({ mediaType, urls }: OciDescriptor): boolean {
  return isNonDistributableType(mediaType) && urls !== undefined
}
