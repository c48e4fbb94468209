/**
 * What an image consists of: from its target through indexes to the manifests of the platforms asked for.
 * Where the bytes come from (registry, content store) is the caller's.
 */
import { invalidArgument, isGantryError, notFound } from '#api/errors/errors.ts'
import type { Digest } from '#api/types/digest.ts'
import {
  type Index,
  isIndexType,
  isManifestType,
  isSchema1Type,
  type Manifest,
  type OciDescriptor,
  parseIndex,
  parseManifest,
} from '#api/types/oci.ts'
import { formatPlatform, type Platform, platformMatches } from '#api/types/platform.ts'

export interface ImageNode {
  readonly descriptor: OciDescriptor
  readonly manifest: Manifest
  /** False: of another platform than asked for; its layers are not wanted. */
  readonly wanted: boolean
}

export interface IndexNode {
  readonly descriptor: OciDescriptor
  readonly index: Index
}

export interface ImageTree {
  readonly root: OciDescriptor
  /** Outermost first. */
  readonly indexes: readonly IndexNode[]
  readonly images: readonly ImageNode[]
}

export interface Selection {
  /** None: all. Of each, the best match is taken. */
  readonly platforms: readonly Platform[]
  /** Take other platforms' manifests too, as not wanted. */
  readonly allMetadata?: boolean
  /** Manifests per index at most; 0 for no limit. */
  readonly manifestLimit?: number
  /** Manifests of an index that cannot be found are left out, as long as one remains. */
  readonly skipMissing?: boolean
}

/** Deeper nesting of indexes than anybody makes. */
const maxDepth = 4

/**
 * Reads a tree; `name` is told in errors. INVALID_ARGUMENT: not an image (schema 1, another media type, malformed);
 * NOT_FOUND: no manifest for the platforms asked for.
 */
export async function readTree(
  name: string,
  root: OciDescriptor,
  selection: Selection,
  read: (descriptor: OciDescriptor) => Promise<Buffer>,
): Promise<ImageTree> {
  const indexes: IndexNode[] = []
  const images: ImageNode[] = []
  const seen = new Set<Digest>()

  let missing: unknown
  const readUnlessMissing = (descriptor: OciDescriptor, depth: number): Promise<Buffer | undefined> =>
    read(descriptor).catch((error: unknown) => {
      if (depth === 0 || !selection.skipMissing || !isGantryError(error, 'NOT_FOUND')) throw error
      missing = error
      return undefined
    })

  const visit = async (descriptor: OciDescriptor, wanted: boolean, depth: number): Promise<void> => {
    if (seen.has(descriptor.digest)) return
    seen.add(descriptor.digest)
    const of = `image "${name}": ${describe(descriptor)}`
    if (depth > maxDepth) throw invalidArgument(`${of}: indexes are nested more than ${maxDepth} deep`)
    const bytes = await readUnlessMissing(typed(of, descriptor), depth)
    if (bytes === undefined) return
    if (isIndexBlob(of, descriptor, bytes)) {
      const index = parseIndex(of, bytes)
      indexes.push({ descriptor, index })
      for (const [child, childWanted] of choose(of, index, selection))
        await visit(child, wanted && childWanted, depth + 1)
    } else images.push({ descriptor, manifest: parseManifest(of, bytes), wanted })
  }

  await visit(root, true, 0)
  if (images.length === 0 && missing !== undefined) throw missing
  return { root, indexes, images }
}

/** The image of a tree to unpack for a platform: the best match, or the only image when it says no platform. */
export function imageFor({ images }: ImageTree, platform: Platform): ImageNode | undefined {
  const wanted = images.filter(image => image.wanted)
  const best = bestMatch(
    wanted.map(image => image.descriptor),
    platform,
  )
  if (best) return wanted.find(image => image.descriptor === best)
  return wanted.find(image => image.descriptor.platform === undefined)
}

function describe({ mediaType, digest }: OciDescriptor): string {
  return `${isIndexType(mediaType) ? 'index' : 'manifest'} ${digest}`
}

/** Only what is a manifest or index by its announced type is read at all. */
function typed(of: string, descriptor: OciDescriptor): OciDescriptor {
  const { mediaType } = descriptor
  if (isSchema1Type(mediaType))
    throw invalidArgument(
      `${of} is a Docker schema 1 manifest, no longer supported: push the image again with a current tool`,
    )
  if (!isManifestType(mediaType) && !isIndexType(mediaType))
    throw invalidArgument(`${of} has media type "${mediaType}", which is no image manifest or index`)
  return descriptor
}

/** The type in the bytes must not contradict the announced one (image spec, manifest.md, "mediaType"). */
function isIndexBlob(of: string, { mediaType }: OciDescriptor, bytes: Buffer): boolean {
  const parsed = isIndexType(mediaType) ? parseIndex(of, bytes) : parseManifest(of, bytes)
  if (isIndexType(parsed.mediaType) !== isIndexType(mediaType))
    throw invalidArgument(`${of} was announced as "${mediaType}" but says it is "${parsed.mediaType}"`)
  return isIndexType(mediaType)
}

function choose(of: string, { manifests }: Index, selection: Selection): [OciDescriptor, boolean][] {
  const { platforms, allMetadata = false, manifestLimit = 0 } = selection
  const isChosen = chooser(manifests, platforms)
  const chosen = manifests.filter(isChosen)
  if (chosen.length === 0 && platforms.length > 0) throw noMatch(of, manifests, platforms)
  const limited = new Set(manifestLimit > 0 ? chosen.slice(0, manifestLimit) : chosen)
  return manifests
    .filter(manifest => limited.has(manifest) || (allMetadata && manifestLimit === 0 && !isChosen(manifest)))
    .map(manifest => [manifest, limited.has(manifest)])
}

function chooser(manifests: readonly OciDescriptor[], platforms: readonly Platform[]) {
  if (platforms.length === 0) return () => true
  const best = new Set(platforms.map(platform => bestMatch(manifests, platform)))
  // Without a platform the descriptor says nothing against it: a nested index, or a plain list of images.
  return (manifest: OciDescriptor) => best.has(manifest) || manifest.platform === undefined
}

/** The first exact match, else the match with the newest variant. */
function bestMatch(manifests: readonly OciDescriptor[], platform: Platform): OciDescriptor | undefined {
  const matching = manifests.filter(manifest => manifest.platform && platformMatches(platform, manifest.platform))
  return matching.toSorted((a, b) => variantOf(b).localeCompare(variantOf(a)))[0]
}

function variantOf({ platform }: OciDescriptor): string {
  return platform?.variant ?? ''
}

function noMatch(of: string, manifests: readonly OciDescriptor[], platforms: readonly Platform[]) {
  const has = manifests.flatMap(({ platform }) => (platform ? [formatPlatform(platform)] : []))
  const wanted = platforms.map(formatPlatform).join(', ')
  return notFound(`${of} has no manifest for platform ${wanted}; it has ${has.join(', ') || 'none'}`)
}
