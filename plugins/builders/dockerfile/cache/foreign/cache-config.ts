/**
 * BuildKit's description of a cache, media type `application/vnd.buildkit.cacheconfig.v0`: layers as a forest, and
 * records of steps that point to what they stand on and to what they led to. A step's digest is the builder's own, so
 * BuildKit can read and copy what we write, and finds none of its own steps in it.
 * Source: moby/buildkit, cache/remotecache/v1/types.
 */
import * as z from 'zod'
import { invalidArgument } from '#api/errors/errors.ts'

export const cacheConfigType = 'application/vnd.buildkit.cacheconfig.v0'
/** Member of an image's configuration with records in base64: their layers are the image's. */
export const inlineCacheMember = 'moby.buildkit.cache.v0'

const index = z.number().int().min(0)

const layerSchema = z.looseObject({
  blob: z.string(),
  /** -1: none. Go leaves out what is 0. */
  parent: z.number().int().min(-1).default(0),
  annotations: z
    .looseObject({
      mediaType: z.string().default(''),
      diffID: z.string().default(''),
      size: z.number().int().min(0).default(0),
      createdAt: z.string().optional(),
    })
    .optional(),
})

const recordSchema = z.looseObject({
  digest: z.string().default(''),
  /** The topmost layer of each result. */
  layers: z.array(z.looseObject({ layer: index.default(0), createdAt: z.string().optional() })).optional(),
  inputs: z.array(z.array(z.looseObject({ link: index.default(0), selector: z.string().optional() }))).optional(),
})

const recordsSchema = z.array(recordSchema)
const configSchema = z.looseObject({
  layers: z.array(layerSchema).default([]),
  records: recordsSchema.default([]),
})

export type CacheConfig = z.infer<typeof configSchema>
export type CacheRecord = z.infer<typeof recordSchema>

/** INVALID_ARGUMENT names the cache and the member that is wrong. */
export function readCacheConfig(of: string, bytes: Uint8Array): CacheConfig {
  return checked(of, configSchema, bytes)
}

/** The inline form. INVALID_ARGUMENT as above. */
export function readCacheRecords(of: string, bytes: Uint8Array): CacheRecord[] {
  return checked(of, recordsSchema, bytes)
}

function checked<T>(of: string, schema: z.ZodType<T>, bytes: Uint8Array): T {
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(bytes).toString())
  } catch (cause) {
    throw invalidArgument(`cache "${of}" is not JSON`, { cause })
  }
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  throw invalidArgument(`cache "${of}": ${issue?.path.join('.')}: ${issue?.message}`)
}

/** Of each layer, the whole stack up to it, lowest first. INVALID_ARGUMENT: a parent that is not before it, or no layer. */
export function stacksOf<L>(of: string, config: CacheConfig, layers: readonly L[]): L[][] {
  const stacks: L[][] = []
  const stack = (at: number, depth: number): L[] => {
    const known = stacks[at]
    const layer = layers[at]
    if (known !== undefined) return known
    if (layer === undefined || depth > layers.length)
      throw invalidArgument(`cache "${of}": layer ${at} does not exist, or stands on itself`)
    const parent = config.layers[at]?.parent ?? -1
    const found = [...(parent < 0 ? [] : stack(parent, depth + 1)), layer]
    stacks[at] = found
    return found
  }
  for (const at of layers.keys()) stack(at, 0)
  return stacks
}
