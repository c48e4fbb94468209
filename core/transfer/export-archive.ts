/** ImageStore → ImageExportStream: an OCI layout (image-layout.md) that `docker load` understands too. */
import type { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type Pack, pack } from 'tar-stream'
import { isGantryError, notFound } from '#api/errors/errors.ts'
import { type Digest, digestHex } from '#api/types/digest.ts'
import { isNonDistributableType, mediaTypes, type OciDescriptor } from '#api/types/oci.ts'
import { hostPlatform, type Platform } from '#api/types/platform.ts'
import type { BlobReader } from '#core/content/content.ts'
import { familiarName, parseReference } from '#core/remotes/remotes.ts'
import { imageNameAnnotation, refNameAnnotation } from './archive-index.ts'
import { ociDescriptor, storedManifests, type TransferParts } from './context.ts'
import { type ImageTree, imageFor, readTree } from './image-tree.ts'
import type { ExportOptions, TransferContext } from './transfer.ts'

interface NamedTree {
  readonly name: string
  readonly tree: ImageTree
}

export async function exportArchive(
  parts: TransferParts,
  archive: Writable,
  options: ExportOptions,
  context: TransferContext,
): Promise<void> {
  const { namespace: ns, signal, onProgress } = context
  onProgress?.({ event: 'Exporting' })
  const trees: NamedTree[] = []
  for (const name of options.names) trees.push({ name, tree: await treeOf(parts, ns, name, options) })
  const blobs = blobsOf(trees, options)
  const tar = pack()
  // The failure told is the one of the reader that broke, not the tar's that was left half-written.
  const writing = writeAll(tar, documentsOf(trees, options), blobs, digest => openBlob(parts, ns, digest))
  await Promise.all([pipeline(tar, archive, { signal }), writing.catch(error => rethrowThrough(tar, error))])
  onProgress?.({ event: 'Completed export' })
}

async function treeOf(parts: TransferParts, ns: string, name: string, options: ExportOptions): Promise<ImageTree> {
  const { target } = await parts.images.get(ns, name)
  const platforms = platformsOf(options)
  return readTree(name, ociDescriptor(target), { platforms }, storedManifests(parts.content, ns, name))
}

function platformsOf({ platforms, allPlatforms }: ExportOptions): readonly Platform[] {
  if (allPlatforms) return []
  return platforms.length > 0 ? platforms : [hostPlatform()]
}

function blobsOf(trees: readonly NamedTree[], { skipNonDistributable }: ExportOptions): OciDescriptor[] {
  const all = new Map<Digest, OciDescriptor>()
  for (const { tree } of trees) {
    for (const { descriptor } of tree.indexes) all.set(descriptor.digest, descriptor)
    for (const { descriptor, manifest } of tree.images)
      for (const blob of [descriptor, manifest.config, ...manifest.layers])
        if (!(skipNonDistributable && isNonDistributableType(blob.mediaType))) all.set(blob.digest, blob)
  }
  return [...all.values()].toSorted((a, b) => a.digest.localeCompare(b.digest))
}

function documentsOf(trees: readonly NamedTree[], { skipDockerManifest }: ExportOptions): Map<string, string> {
  const documents = new Map([
    ['oci-layout', JSON.stringify({ imageLayoutVersion: '1.0.0' })],
    ['index.json', JSON.stringify(indexJson(trees))],
  ])
  if (!skipDockerManifest) documents.set('manifest.json', JSON.stringify(dockerManifest(trees)))
  return documents
}

function indexJson(trees: readonly NamedTree[]) {
  const manifests = trees.map(({ name, tree }) => {
    const { mediaType, digest, size, annotations } = tree.root
    const names = { [imageNameAnnotation]: name, [refNameAnnotation]: refName(name) }
    return { mediaType, digest, size, annotations: { ...annotations, ...names } }
  })
  return { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }
}

/** By the specification a tag, where there is one. */
function refName(name: string): string {
  return parsed(name)?.tag ?? name
}

/** docker load knows one platform per image: this host's, else the first. */
function dockerManifest(trees: readonly NamedTree[]) {
  return trees.flatMap(({ name, tree }) => {
    const node = imageFor(tree, hostPlatform()) ?? tree.images[0]
    if (node === undefined) return []
    const reference = parsed(name)
    return {
      Config: blobPath(node.manifest.config.digest),
      RepoTags: reference?.tag === undefined ? [] : [familiarName(reference)],
      Layers: node.manifest.layers.map(layer => blobPath(layer.digest)),
    }
  })
}

/** Image names need not be references. */
function parsed(name: string) {
  try {
    return parseReference(name)
  } catch {
    return undefined
  }
}

function blobPath(digest: Digest): string {
  return `blobs/sha256/${digestHex(digest)}`
}

async function openBlob(parts: TransferParts, ns: string, digest: Digest): Promise<BlobReader> {
  try {
    return await parts.content.reader(ns, digest)
  } catch (cause) {
    if (!isGantryError(cause, 'NOT_FOUND')) throw cause
    throw notFound(`content ${digest} is not here; pull the image with the platforms to export`, { cause })
  }
}

async function writeAll(
  tar: Pack,
  documents: ReadonlyMap<string, string>,
  blobs: readonly OciDescriptor[],
  open: (digest: Digest) => Promise<BlobReader>,
): Promise<void> {
  for (const [name, text] of documents) tar.entry({ ...fixed, name, size: Buffer.byteLength(text) }, text)
  for (const { digest } of blobs) {
    await using blob = await open(digest)
    await writeEntry(tar, blobPath(digest), blob.sizeBytes, blob.stream())
  }
  tar.finalize()
}

/** The same image gives the same archive. */
const fixed = { mode: 0o644, mtime: new Date(0), uid: 0, gid: 0 }

async function writeEntry(tar: Pack, name: string, size: number, body: Readable): Promise<void> {
  await pipeline(body, tar.entry({ ...fixed, name, size }))
}

function rethrowThrough(tar: Pack, error: unknown): never {
  tar.destroy(error instanceof Error ? error : new Error(String(error)))
  throw error
}
