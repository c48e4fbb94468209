/** What an image weighs in the content store, and for which platforms it is there. Missing blobs count nothing. */
import { readBlob } from '#api/content/read-blob.ts'
import { ContentDefinition } from '#api/gen/containerd/services/content/v1/content.ts'
import type { Image } from '#api/gen/containerd/services/images/v1/images.ts'
import { formatPlatform } from '#api/types/platform.ts'
import type { Session } from './session.ts'

interface Descriptor {
  mediaType: string
  digest: string
  size: number
  platform?: { os: string; architecture: string; variant?: string }
}
interface Manifest {
  manifests?: Descriptor[]
  config?: Descriptor
  layers?: Descriptor[]
}

export interface ImageMeasure {
  sizeBytes: number
  platforms: string[]
}

export async function measureImage(session: Session, image: Image): Promise<ImageMeasure> {
  const root = image.target
  if (root === undefined) return { sizeBytes: 0, platforms: [] }
  return await measure(session, { mediaType: root.mediaType, digest: root.digest, size: Number(root.size) })
}

async function measure(session: Session, descriptor: Descriptor): Promise<ImageMeasure> {
  const bytes = await readBlob({ content: session.client(ContentDefinition) }, descriptor.digest)
  if (bytes === undefined) return { sizeBytes: 0, platforms: [] }
  const { manifests = [], config, layers = [] } = JSON.parse(bytes.toString()) as Manifest
  if (config !== undefined) return await measureManifest(session, descriptor, config, layers)
  const parts = await Promise.all(
    manifests.filter(({ platform }) => platform?.os !== 'unknown').map(part => measure(session, part)),
  )
  return {
    sizeBytes: parts.reduce((sum, part) => sum + part.sizeBytes, bytes.length),
    platforms: parts.flatMap(part => part.platforms),
  }
}

async function measureManifest(
  session: Session,
  manifest: Descriptor,
  config: Descriptor,
  layers: Descriptor[],
): Promise<ImageMeasure> {
  const bytes = await readBlob({ content: session.client(ContentDefinition) }, config.digest)
  const { os = '', architecture = '', variant = '' } = bytes === undefined ? {} : JSON.parse(bytes.toString())
  return {
    sizeBytes: [manifest, config, ...layers].reduce((sum, { size }) => sum + size, 0),
    platforms: os === '' ? [] : [formatPlatform({ os, architecture, variant })],
  }
}
