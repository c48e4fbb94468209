/** What a manifest says of a cache: BuildKit's records, records within an image, or an image's own history. */
import { isIndexType, parseIndex, parseManifest } from '#api/types/oci.ts'
import type { Platform } from '#api/types/platform.ts'
import { readImage } from '../../core/base-images.ts'
import type { Layer } from '../../solve/stage-state.ts'
import {
  type CacheConfig,
  cacheConfigType,
  inlineCacheMember,
  readCacheConfig,
  readCacheRecords,
  stacksOf,
} from './cache-config.ts'
import type { ForeignCache } from './foreign-cache.ts'
import { historyCache } from './history-cache.ts'
import { recordedCache } from './recorded-cache.ts'

/** Where a cache lies. */
export interface CachePlace {
  readonly name: string
  readonly target: { readonly mediaType: string; readonly digest: string }
  /** A manifest, an index or a configuration. NOT_FOUND. */
  read(digest: string): Promise<Buffer>
  readonly fetch: ForeignCache['fetch']
}

/** INVALID_ARGUMENT, NOT_FOUND: it cannot be read. */
export async function readCaches(place: CachePlace, platform: Platform): Promise<ForeignCache[]> {
  const { name, target, read } = place
  const config = await configDigest(place)
  if (config !== undefined) return [fromConfig(place, readCacheConfig(name, await read(config)))]
  const { config: image, layers } = await readImage(name, target, platform, read)
  const inline = image[inlineCacheMember]
  const history = { ...historyCache(name, image, layers), fetch: place.fetch }
  if (typeof inline !== 'string') return [history]
  const records = readCacheRecords(name, Buffer.from(inline, 'base64'))
  const stacks = layers.map((_, at) => layers.slice(0, at + 1))
  return [recordedCache({ name, records, stacks, fetch: place.fetch }), history]
}

/** BuildKit's older form is an index of blobs, the newer one a manifest of layers; undefined: it is an image. */
async function configDigest({ name, target, read }: CachePlace): Promise<string | undefined> {
  const document = await read(target.digest)
  if (isIndexType(target.mediaType))
    return parseIndex(name, document).manifests.find(({ mediaType }) => mediaType === cacheConfigType)?.digest
  const { config } = parseManifest(name, document)
  return config.mediaType === cacheConfigType ? config.digest : undefined
}

function fromConfig({ name, fetch }: CachePlace, config: CacheConfig): ForeignCache {
  const layers: Layer[] = config.layers.map(({ blob: digest, annotations }) => {
    const { mediaType = '', diffID = '', size = 0 } = annotations ?? {}
    return { descriptor: { mediaType, digest, size: BigInt(size), annotations: {} }, diffID }
  })
  return recordedCache({ name, records: config.records, stacks: stacksOf(name, config, layers), fetch })
}
