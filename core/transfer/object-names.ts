/** containerd's names for content under way, and its labels that tie content together. */
import type { Digest } from '#api/types/digest.ts'
import {
  type Index,
  isConfigType,
  isIndexType,
  isManifestType,
  layerCompression,
  type Manifest,
  type OciDescriptor,
} from '#api/types/oci.ts'

/** Ref of an ingest, and the name of the object in progress (containerd's `remotes.MakeRefKey`). */
export function refKey({ mediaType, digest, annotations }: OciDescriptor): string {
  const name = annotations['org.opencontainers.image.ref.name']
  const key = name === undefined ? digest : `${name}@${digest}`
  if (isManifestType(mediaType)) return `manifest-${key}`
  if (isIndexType(mediaType)) return `index-${key}`
  if (layerCompression(mediaType) !== undefined) return `layer-${key}`
  return isConfigType(mediaType) ? `config-${key}` : `unknown-${key}`
}

/** Labels by which garbage collection finds what a manifest refers to. */
export function manifestLabels({ config, layers }: Manifest): Record<string, string> {
  const entries = layers.map(({ digest }, i) => [`containerd.io/gc.ref.content.l.${i}`, digest])
  return { 'containerd.io/gc.ref.content.config': config.digest, ...Object.fromEntries(entries) }
}

/** The same for an index. */
export function indexLabels({ manifests }: Pick<Index, 'manifests'>): Record<string, string> {
  return Object.fromEntries(manifests.map(({ digest }, i) => [`containerd.io/gc.ref.content.m.${i}`, digest]))
}

/** Label of a config blob that keeps its unpacked layers: value is the chainID. */
export function snapshotLabel(snapshotter: string): string {
  return `containerd.io/gc.ref.snapshot.${snapshotter}`
}

/** Label of a layer blob: its diffID. */
export const uncompressedLabel = 'containerd.io/uncompressed'

/** Label that remembers the repositories of a registry a blob came from, for mounts on a push. */
export function sourceLabel(domain: string): string {
  return `containerd.io/distribution.source.${domain}`
}

/** `repository` added to a source label's comma-separated list. */
export function withSource(list: string | undefined, repository: string): string {
  const known = (list ?? '').split(',').filter(name => name !== '')
  const merged = known.includes(repository) ? known : [...known, repository]
  // A label holds 4096 bytes; the newest sources are the likeliest to be there still.
  while (merged.join(',').length > 3000) merged.shift()
  return merged.join(',')
}

/** Ids of lease resources. */
export const contentResource = (digest: Digest) => ({ type: 'content', id: digest })
export const snapshotResource = (snapshotter: string, name: string) => ({ type: `snapshots/${snapshotter}`, id: name })
