/**
 * Manifests and indexes of the OCI image specification (manifest.md, image-index.md, descriptor.md) and of
 * Docker's schema 2, which is the same with other media types. Parsed defensively: what comes back is complete.
 */
import { invalidArgument, messageOf } from '../errors/errors.ts'
import { type DiffID, type Digest, isDigest } from './digest.ts'
import { normalizePlatform, type Platform } from './platform.ts'

/** A pointer to content, checked. */
export interface OciDescriptor {
  readonly mediaType: string
  readonly digest: Digest
  /** Bytes. */
  readonly size: number
  readonly annotations: Readonly<Record<string, string>>
  /** In an index: what the manifest is for. */
  readonly platform?: Platform
  /** Places beside the registry; only for layers that may not be passed on. */
  readonly urls?: readonly string[]
}

export interface Manifest {
  readonly mediaType: string
  readonly config: OciDescriptor
  /** Lowest first. */
  readonly layers: readonly OciDescriptor[]
}

export interface Index {
  readonly mediaType: string
  readonly manifests: readonly OciDescriptor[]
}

export const mediaTypes = {
  ociManifest: 'application/vnd.oci.image.manifest.v1+json',
  ociIndex: 'application/vnd.oci.image.index.v1+json',
  ociConfig: 'application/vnd.oci.image.config.v1+json',
  ociLayer: 'application/vnd.oci.image.layer.v1.tar',
  ociLayerGzip: 'application/vnd.oci.image.layer.v1.tar+gzip',
  ociLayerZstd: 'application/vnd.oci.image.layer.v1.tar+zstd',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerList: 'application/vnd.docker.distribution.manifest.list.v2+json',
  dockerConfig: 'application/vnd.docker.container.image.v1+json',
  dockerLayer: 'application/vnd.docker.image.rootfs.diff.tar',
  dockerLayerGzip: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
  dockerLayerZstd: 'application/vnd.docker.image.rootfs.diff.tar.zstd',
  dockerSchema1: 'application/vnd.docker.distribution.manifest.v1+json',
  dockerSchema1Signed: 'application/vnd.docker.distribution.manifest.v1+prettyjws',
} as const

/** Bytes a manifest, index or configuration may have (distribution spec: registries accept at least 4 MiB). */
export const maxManifestBytes = 4 * 1024 * 1024
const maxDescriptors = 10_000

export function isManifestType(mediaType: string): boolean {
  return mediaType === mediaTypes.ociManifest || mediaType === mediaTypes.dockerManifest
}

export function isIndexType(mediaType: string): boolean {
  return mediaType === mediaTypes.ociIndex || mediaType === mediaTypes.dockerList
}

export function isSchema1Type(mediaType: string): boolean {
  return mediaType === mediaTypes.dockerSchema1 || mediaType === mediaTypes.dockerSchema1Signed
}

export function isConfigType(mediaType: string): boolean {
  return mediaType === mediaTypes.ociConfig || mediaType === mediaTypes.dockerConfig
}

/** Layers that stay with their publisher (Windows base layers): image spec, layer.md#non-distributable-layers. */
export function isNonDistributableType(mediaType: string): boolean {
  return mediaType.includes('.nondistributable.') || mediaType.includes('.foreign.')
}

/** How the layer's tar is compressed; undefined when the media type is none of a layer we can read. */
export function layerCompression(mediaType: string): 'none' | 'gzip' | 'zstd' | undefined {
  const plain = mediaType.replace('.nondistributable.', '.').replace('.foreign.', '.')
  switch (plain) {
    case mediaTypes.ociLayer:
    case mediaTypes.dockerLayer:
      return 'none'
    case mediaTypes.ociLayerGzip:
    case mediaTypes.dockerLayerGzip:
      return 'gzip'
    case mediaTypes.ociLayerZstd:
    case mediaTypes.dockerLayerZstd:
      return 'zstd'
    default:
      return undefined
  }
}

/** Reads a manifest; `of` names it in errors. INVALID_ARGUMENT says what is wrong with it. */
export function parseManifest(of: string, bytes: Uint8Array): Manifest {
  const object = parseObject(of, bytes)
  if (object.manifests !== undefined)
    throw invalidArgument(`${of} has "manifests" but was announced as the manifest of one image`)
  return {
    mediaType: optionalString(of, object, 'mediaType') || mediaTypes.ociManifest,
    config: parseDescriptor(`${of}: config`, object.config),
    layers: parseDescriptors(of, object, 'layers'),
  }
}

/** Reads an index; as {@link parseManifest}. */
export function parseIndex(of: string, bytes: Uint8Array): Index {
  const object = parseObject(of, bytes)
  if (object.layers !== undefined || object.config !== undefined)
    throw invalidArgument(`${of} has "layers" or "config" but was announced as an index`)
  return {
    mediaType: optionalString(of, object, 'mediaType') || mediaTypes.ociIndex,
    manifests: parseDescriptors(of, object, 'manifests'),
  }
}

/** `rootfs.diff_ids` and the platform of an image configuration (config.md). */
export interface ConfigSummary {
  readonly platform: Platform
  readonly diffIDs: readonly DiffID[]
}

/** Reads what unpacking needs of a configuration. INVALID_ARGUMENT. */
export function parseConfigSummary(of: string, bytes: Uint8Array): ConfigSummary {
  const object = parseObject(of, bytes)
  const rootfs = object.rootfs
  const diffIDs: unknown = isRecord(rootfs) ? (rootfs.diff_ids ?? []) : undefined
  if (!Array.isArray(diffIDs)) throw invalidArgument(`${of}: rootfs.diff_ids is missing or no list`)
  for (const diffID of diffIDs)
    if (typeof diffID !== 'string' || !isDigest(diffID))
      throw invalidArgument(`${of}: rootfs.diff_ids holds "${String(diffID)}", which is no sha256 digest`)
  const platform = {
    os: optionalString(of, object, 'os') || 'linux',
    architecture: optionalString(of, object, 'architecture'),
    variant: optionalString(of, object, 'variant'),
  }
  return { platform: normalizePlatform(platform), diffIDs: diffIDs as DiffID[] }
}

/** A descriptor found in JSON. INVALID_ARGUMENT names the field. */
export function parseDescriptor(of: string, value: unknown): OciDescriptor {
  if (!isRecord(value)) throw invalidArgument(`${of} is missing or no object`)
  const digest = value.digest
  if (typeof digest !== 'string' || !isDigest(digest))
    throw invalidArgument(`${of}: digest "${String(digest)}" is no sha256 digest; other algorithms are not supported`)
  const size = value.size
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0)
    throw invalidArgument(`${of}: size "${String(size)}" is not a number of bytes`)
  const platform = parsePlatformObject(of, value.platform)
  const urls = parseUrls(of, value.urls)
  return {
    mediaType: optionalString(of, value, 'mediaType'),
    digest,
    size,
    annotations: parseAnnotations(of, value.annotations),
    ...(platform && { platform }),
    ...(urls.length > 0 && { urls }),
  }
}

function parseDescriptors(of: string, object: Record<string, unknown>, field: string): OciDescriptor[] {
  const list = object[field]
  if (!Array.isArray(list)) throw invalidArgument(`${of}: ${field} is missing or no list`)
  if (list.length > maxDescriptors)
    throw invalidArgument(`${of}: ${field} has ${list.length} entries; at most ${maxDescriptors} are accepted`)
  return list.map((entry, i) => parseDescriptor(`${of}: ${field}[${i}]`, entry))
}

function parsePlatformObject(of: string, value: unknown): Platform | undefined {
  if (value === undefined || value === null) return undefined
  if (!isRecord(value)) throw invalidArgument(`${of}: platform is no object`)
  return normalizePlatform({
    os: optionalString(of, value, 'os'),
    architecture: optionalString(of, value, 'architecture'),
    variant: optionalString(of, value, 'variant'),
  })
}

function parseAnnotations(of: string, value: unknown): Record<string, string> {
  if (value === undefined || value === null) return {}
  if (!isRecord(value) || !Object.values(value).every(text => typeof text === 'string'))
    throw invalidArgument(`${of}: annotations are not texts by name`)
  return value as Record<string, string>
}

function parseUrls(of: string, value: unknown): string[] {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value) || !value.every(url => typeof url === 'string'))
    throw invalidArgument(`${of}: urls is no list of texts`)
  return value
}

function optionalString(of: string, object: Record<string, unknown>, field: string): string {
  const value = object[field]
  if (value === undefined || value === null) return ''
  if (typeof value !== 'string') throw invalidArgument(`${of}: ${field} is no text`)
  return value
}

function parseObject(of: string, bytes: Uint8Array): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (cause) {
    throw invalidArgument(`${of} is not JSON (${messageOf(cause)})`, { cause })
  }
  if (!isRecord(value)) throw invalidArgument(`${of} is no JSON object`)
  return value
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
