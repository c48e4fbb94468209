/** The images (one per platform) that a name stands for and whose configuration is in the content store. */
import { readBlob } from '#api/content/read-blob.ts'
import { ContentDefinition } from '#api/gen/containerd/services/content/v1/content.ts'
import type { Descriptor } from '#api/gen/containerd/types/descriptor.ts'
import { type ChainID, chainIDs, type DiffID } from '#api/types/digest.ts'
import { isIndexType, type OciDescriptor, parseConfigSummary, parseIndex, parseManifest } from '#api/types/oci.ts'
import type { Session } from './session.ts'

export interface LocalImage {
  platform: string
  configDigest: string
  /** Of the configuration's blob: garbage collection follows them. */
  labels: Record<string, string>
  layers: Descriptor[]
  diffIDs: readonly DiffID[]
  chain: readonly ChainID[]
}

/** Deeper nesting of indexes than anybody makes. */
const maxDepth = 4

export async function localImages(
  session: Session,
  { digest, mediaType }: Pick<Descriptor, 'digest' | 'mediaType'>,
  depth = 0,
): Promise<LocalImage[]> {
  const bytes = await readBlob({ content: session.client(ContentDefinition) }, digest)
  if (bytes === undefined || depth > maxDepth) return []
  if (!isIndexType(mediaType)) return await localImage(session, digest, bytes)
  const found: LocalImage[] = []
  for (const child of parseIndex(`index ${digest}`, bytes).manifests)
    found.push(...(await localImages(session, child, depth + 1)))
  return found
}

async function localImage(session: Session, digest: string, bytes: Buffer): Promise<LocalImage[]> {
  const { config, layers } = parseManifest(`manifest ${digest}`, bytes)
  const text = await readBlob({ content: session.client(ContentDefinition) }, config.digest)
  if (text === undefined) return []
  const { diffIDs } = parseConfigSummary(`config ${config.digest}`, text)
  const { os = '', architecture = '' } = JSON.parse(text.toString()) as { os?: string; architecture?: string }
  const { info } = await session.client(ContentDefinition).info({ digest: config.digest })
  const image = {
    platform: `${os}/${architecture}`,
    configDigest: config.digest,
    labels: info?.labels ?? {},
    layers: layers.map(wire),
    diffIDs,
    chain: chainIDs(diffIDs),
  }
  return [image]
}

function wire({ mediaType, digest, size }: OciDescriptor): Descriptor {
  return { mediaType, digest, size: BigInt(size), annotations: {} }
}
