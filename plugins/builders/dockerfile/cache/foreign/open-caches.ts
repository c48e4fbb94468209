/** The caches that a build was told to ask, opened: what cannot be read is told of, and does without. */
import { writeStream } from '#api/content/write-blob.ts'
import { dataLoss, messageOf } from '#api/errors/errors.ts'
import type { CacheLocation } from '#api/gen/gantry/services/builder/v1/builder.ts'
import type { Platform } from '#api/types/platform.ts'
import { requireBlob } from '../../core/base-images.ts'
import type { Core } from '../../core/clients.ts'
import { OciLayout } from '../../core/oci-layout.ts'
import type { Registries } from '../../core/registries.ts'
import type { BuildEvents } from '../../solve/build-events.ts'
import { type CacheSource, cacheSource } from './cache-location.ts'
import type { ForeignCache } from './foreign-cache.ts'
import { type CachePlace, readCaches } from './read-caches.ts'

export interface CacheAccess {
  readonly core: Core
  readonly registries: Registries
  readonly platform: Platform
  readonly signal: AbortSignal
  readonly events: BuildEvents
}

/** INVALID_ARGUMENT, NOT_IMPLEMENTED: a location is wrong in itself. */
export async function openCaches(locations: readonly CacheLocation[], access: CacheAccess): Promise<ForeignCache[]> {
  const sources = locations.map(cacheSource)
  const opened = await Promise.all(sources.map(source => opening(source, access)))
  return opened.flat()
}

async function opening(source: CacheSource, access: CacheAccess): Promise<ForeignCache[]> {
  const name = source.type === 'local' ? source.folder : source.reference
  const step = access.events.begin({ name: `importing cache from ${name}` })
  try {
    const caches = await readCaches(await placeOf(source, access), access.platform)
    step.done({})
    return caches
  } catch (error) {
    access.signal.throwIfAborted()
    step.done({ error: `not used: ${messageOf(error)}` })
    return []
  }
}

function placeOf(source: CacheSource, access: CacheAccess): Promise<CachePlace> {
  if (source.type === 'local') return localPlace(source, access.core)
  return source.type === 'image' ? imagePlace(source.reference, access.core) : registryPlace(source.reference, access)
}

/** What the registry has, or an image of that name that is here when the registry does not answer. */
async function registryPlace(
  reference: string,
  { registries, signal, core, platform }: CacheAccess,
): Promise<CachePlace> {
  // Nobody's image: the build's lease holds it.
  const name = `gantry.local/build/cache:${crypto.randomUUID()}`
  try {
    await registries.pull({ reference, name, platforms: [platform] }, signal)
  } catch (error) {
    signal.throwIfAborted()
    return await imagePlace(reference, core).catch(() => {
      throw error
    })
  }
  try {
    return { ...(await imagePlace(name, core)), name: reference }
  } finally {
    await core.images.delete({ name })
  }
}

async function imagePlace(name: string, core: Core): Promise<CachePlace> {
  const { image } = await core.images.get({ name })
  const { mediaType = '', digest = '' } = image?.target ?? {}
  return { name, target: { mediaType, digest }, read: blob => requireBlob(core, blob), fetch: async () => {} }
}

async function localPlace(
  { folder, tag, digest }: Extract<CacheSource, { type: 'local' }>,
  core: Core,
): Promise<CachePlace> {
  const layout = new OciLayout(folder)
  return {
    name: folder,
    target: await layout.find({ tag, digest }),
    read: blob => layout.read(blob),
    async fetch({ descriptor, diffID }, lease) {
      const options = { ref: `build-${crypto.randomUUID()}`, lease, labels: { 'containerd.io/uncompressed': diffID } }
      const stored = await writeStream(core, layout.stream(descriptor.digest), {
        ...options,
        expected: descriptor.digest,
      })
      if (stored.digest !== descriptor.digest)
        throw dataLoss(`cache "${folder}": blob ${descriptor.digest} has the digest ${stored.digest}`)
    },
  }
}
