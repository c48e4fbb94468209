/** Which images an archive holds, by its documents: an OCI layout's index.json, or docker-archive's manifest.json. */
import { invalidArgument, messageOf } from '#api/errors/errors.ts'
import { type Digest, sha256Digest } from '#api/types/digest.ts'
import { maxManifestBytes, mediaTypes, type OciDescriptor, parseConfigSummary, parseIndex } from '#api/types/oci.ts'
import { formatReference, parseReference } from '#core/remotes/remotes.ts'
import type { ArchivedBlob, ArchiveTarget } from './archive-blobs.ts'
import type { Compression } from './archive-format.ts'
import type { ArchiveFiles } from './archive-reader.ts'
import { commitVerified, openWriter } from './blob-writing.ts'
import { refKey } from './object-names.ts'

/** containerd's annotation for a full image name; OCI's holds a tag at best. */
export const imageNameAnnotation = 'io.containerd.image.name'
export const refNameAnnotation = 'org.opencontainers.image.ref.name'

export interface ArchiveIndex {
  /** The index blob, stored. */
  readonly root: OciDescriptor
  readonly manifests: readonly OciDescriptor[]
}

/** INVALID_ARGUMENT: neither format, or malformed, or a file it names is not in it. */
export async function readArchiveIndex(files: ArchiveFiles, target: ArchiveTarget): Promise<ArchiveIndex> {
  const { documents } = files
  const oci = documents.get('index.json')
  if (oci && documents.has('oci-layout')) return indexOf(oci, target)
  const docker = documents.get('manifest.json')
  if (!docker)
    throw invalidArgument(
      'the archive is neither an OCI layout (index.json, oci-layout) nor a docker-archive (manifest.json)',
    )
  const manifests: object[] = []
  for (const image of parseDockerManifest(docker)) manifests.push(...(await dockerImage(image, files, target)))
  return indexOf(Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests })), target)
}

async function indexOf(bytes: Buffer, target: ArchiveTarget): Promise<ArchiveIndex> {
  const { manifests } = parseIndex('the archive’s index', bytes)
  return { root: await storeBytes(mediaTypes.ociIndex, bytes, target), manifests }
}

interface DockerImage {
  Config: string
  RepoTags: string[]
  Layers: string[]
}

function parseDockerManifest(bytes: Buffer): DockerImage[] {
  const wrong = (why: string) => invalidArgument(`the archive's manifest.json ${why}`)
  let value: unknown
  try {
    value = JSON.parse(bytes.toString())
  } catch (error) {
    throw wrong(`is not JSON (${messageOf(error)})`)
  }
  if (!Array.isArray(value)) throw wrong('is no list')
  const texts = (list: unknown): list is string[] => Array.isArray(list) && list.every(text => typeof text === 'string')
  return value.map(({ Config, RepoTags, Layers }: Record<string, unknown>) => {
    if (typeof Config !== 'string' || !texts(Layers ?? []) || !texts(RepoTags ?? []))
      throw wrong('has an entry without Config, or whose Layers or RepoTags are no lists of texts')
    return { Config, RepoTags: (RepoTags ?? []) as string[], Layers: (Layers ?? []) as string[] }
  })
}

const layerTypes: Record<Compression, string> = {
  none: mediaTypes.dockerLayer,
  gzip: mediaTypes.dockerLayerGzip,
  zstd: mediaTypes.dockerLayerZstd,
}

/** Makes the manifest that the archive lacks; a descriptor per tag, one without a name when there is none. */
async function dockerImage(image: DockerImage, files: ArchiveFiles, target: ArchiveTarget): Promise<object[]> {
  const config = requireBlob(files, image.Config)
  const layers = image.Layers.map(path => requireBlob(files, path))
  const bytes = await target.content.readAll(target.ns, config.digest, maxManifestBytes)
  const { platform } = parseConfigSummary(`the archive's ${image.Config}`, bytes)
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.dockerManifest,
    config: { mediaType: mediaTypes.dockerConfig, digest: config.digest, size: config.size },
    layers: layers.map(({ digest, size, compression }) => ({ mediaType: layerTypes[compression], digest, size })),
  }
  const stored = await storeBytes(mediaTypes.dockerManifest, Buffer.from(JSON.stringify(manifest)), target)
  const { mediaType, digest, size } = stored
  const descriptor = { mediaType, digest, size, platform }
  if (image.RepoTags.length === 0) return [descriptor]
  return image.RepoTags.map(tag => {
    const reference = parseReference(tag)
    const annotations = { [imageNameAnnotation]: formatReference(reference), [refNameAnnotation]: reference.tag ?? '' }
    return { ...descriptor, annotations }
  })
}

function requireBlob(files: ArchiveFiles, path: string): ArchivedBlob {
  const blob = files.blob(path)
  if (blob === undefined)
    throw invalidArgument(`the archive's manifest.json names "${path}", which is not in the archive`)
  return blob
}

/** Stores bytes of our own making. */
async function storeBytes(mediaType: string, bytes: Buffer, target: ArchiveTarget): Promise<OciDescriptor> {
  const { content, ns, lease, signal } = target
  const digest: Digest = sha256Digest(bytes)
  const descriptor = { mediaType, digest, size: bytes.length, annotations: {} }
  const options = { ref: refKey(descriptor), expected: digest, totalBytes: bytes.length, lease }
  await using writer = await openWriter(content, ns, options, signal)
  if (writer) {
    if (writer.offset > 0) await writer.truncate(0)
    await writer.write(bytes)
    await commitVerified(content, ns, writer, descriptor, `the archive's ${refKey(descriptor)}`)
  }
  return descriptor
}
