/** What a record's target holds: the manifest for a platform, its configuration, its layers. */

import { readBlob } from '#api/content/read-blob.ts'
import type { Descriptor } from '#api/gen/containerd/types/descriptor.ts'
import { sha256Digest } from '#api/types/digest.ts'
import { isIndexType, type OciDescriptor, parseIndex, parseManifest } from '#api/types/oci.ts'
import { hostPlatform, normalizePlatform, type Platform, platformMatches } from '#api/types/platform.ts'
import type { Core } from '../core-client/core.ts'
import { diffIdsOf, type ImageJson, parseImageJson } from './image-json.ts'

/** One image of one platform. */
export interface ImageTarget {
  /** Digest of the configuration: Docker's id. */
  readonly id: string
  readonly manifest: OciDescriptor
  readonly config: OciDescriptor
  readonly json: ImageJson
  /** Lowest first, as the other two. */
  readonly layers: readonly OciDescriptor[]
  readonly diffIds: readonly string[]
  readonly chainIds: readonly string[]
  readonly platform: Platform
}

/** Parsed manifests by digest never change; the number of images on a host is small, and bounded here all the same. */
const maxKept = 2000

/** Reads targets, and remembers what it read: what a digest names does not change. */
export class ImageTargets {
  readonly #core: Core
  readonly #byManifest = new Map<string, ImageTarget>()
  readonly #indexes = new Map<string, readonly OciDescriptor[]>()

  constructor(core: Core) {
    this.#core = core
  }

  /** Undefined when nothing of that platform is here. Without a platform: this host's, else the first that is here. */
  async read(target: Descriptor, platform?: Platform): Promise<ImageTarget | undefined> {
    for (const manifest of await this.#candidates(target, platform)) {
      const found = await this.#manifest(manifest)
      if (found !== undefined && (platform === undefined || fits(platform, found))) return found
    }
    return undefined
  }

  /** Every manifest below the target, also those that are not here; attestations left out. */
  async manifests(target: Descriptor): Promise<readonly OciDescriptor[]> {
    const root = { mediaType: target.mediaType, digest: target.digest, size: Number(target.size), annotations: {} }
    if (!isIndexType(target.mediaType)) return [root as OciDescriptor]
    const known = this.#indexes.get(target.digest)
    if (known) return known
    const bytes = await readBlob(this.#core, target.digest)
    if (bytes === undefined) return []
    const { manifests } = parseIndex(`image index ${target.digest}`, bytes)
    const images = manifests.filter(({ platform }) => platform?.os !== 'unknown')
    return remember(this.#indexes, target.digest, images)
  }

  async #candidates(target: Descriptor, platform: Platform | undefined): Promise<OciDescriptor[]> {
    const all = await this.manifests(target)
    const wanted = platform ?? hostPlatform()
    const matching = all.filter(candidate => candidate.platform && platformMatches(wanted, candidate.platform))
    const rest = all.filter(candidate => !matching.includes(candidate))
    return platform === undefined ? [...matching, ...rest] : [...matching, ...rest.filter(one => !one.platform)]
  }

  async #manifest(descriptor: OciDescriptor): Promise<ImageTarget | undefined> {
    const known = this.#byManifest.get(descriptor.digest)
    if (known) return known
    const bytes = await readBlob(this.#core, descriptor.digest)
    if (bytes === undefined) return undefined
    const { config, layers } = parseManifest(`image manifest ${descriptor.digest}`, bytes)
    const configBytes = await readBlob(this.#core, config.digest)
    if (configBytes === undefined) return undefined
    const json = parseImageJson(configBytes)
    const diffIds = diffIdsOf(json)
    return remember(this.#byManifest, descriptor.digest, {
      id: config.digest,
      manifest: { ...descriptor, size: bytes.length },
      config,
      json,
      layers,
      diffIds,
      chainIds: chainIdsOf(diffIds),
      platform: platformOf(json),
    })
  }
}

/** Names of the stacks of layers, lowest first (OCI image-spec config.md, "Layer ChainID"). */
export function chainIdsOf(diffIds: readonly string[]): string[] {
  const chain: string[] = []
  for (const diffId of diffIds) {
    const below = chain.at(-1)
    chain.push(below === undefined ? diffId : sha256Digest(Buffer.from(`${below} ${diffId}`)))
  }
  return chain
}

function platformOf({ os = 'linux', architecture = '', variant = '' }: ImageJson): Platform {
  return normalizePlatform({ os, architecture, variant })
}

function fits(platform: Platform, { platform: has, manifest }: ImageTarget): boolean {
  return (
    platformMatches(platform, has) || (manifest.platform !== undefined && platformMatches(platform, manifest.platform))
  )
}

function remember<T>(map: Map<string, T>, key: string, value: T): T {
  if (map.size >= maxKept) map.delete(map.keys().next().value ?? '')
  map.set(key, value)
  return value
}
