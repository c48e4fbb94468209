/** What `--cache-to` asks for: the steps of a build that succeeded, where other builders find them. */
import { messageOf } from '#api/errors/errors.ts'
import { mediaTypes } from '#api/types/oci.ts'
import type { Core } from '../../core/clients.ts'
import { OciLayout } from '../../core/oci-layout.ts'
import { contentLabels, type JsonDescriptor, storeJson } from '../../image/json-blob.ts'
import { nameImage } from '../../image/name-image.ts'
import { settingsOf } from '../../solve/arguments.ts'
import type { Build } from '../../solve/build-request.ts'
import type { Layer, Root, StageState } from '../../solve/stage-state.ts'
import { cacheConfigType, inlineCacheMember } from './cache-config.ts'
import { type CacheTarget, cacheTarget } from './cache-location.ts'
import { type DescribedCache, describe, describeInline } from './cache-trail.ts'

/** `results`: where the stages that were asked for ended. Fails as the places do, unless they are to be ignored. */
export async function writeCaches(build: Build, results: readonly Root[]): Promise<void> {
  for (const target of build.options.cacheTo.map(cacheTarget)) {
    if (target.type === 'inline') continue
    const step = build.events.begin({
      name: `exporting cache to ${'folder' in target ? target.folder : target.reference}`,
    })
    try {
      await write(build, target, results)
      step.done({})
    } catch (error) {
      step.done({ error: messageOf(error) })
      if (!target.ignoreError) throw error
    }
  }
}

/** The state whose image tells of its own steps, where that is wanted: `type=inline`, or BuildKit's build argument. */
export function withInlineCache({ options, trail, epoch }: Build, state: StageState): StageState {
  const isWanted =
    settingsOf(options.args).inlineCache || options.cacheTo.some(target => cacheTarget(target).type === 'inline')
  // What a base image told of its steps is not true of ours.
  const { [inlineCacheMember]: _, ...image } = state.image
  if (!isWanted) return { ...state, image }
  const records = describeInline(trail.chosen('min', [state.root]), createdAt(epoch))
  const told = Buffer.from(JSON.stringify(records)).toString('base64')
  return { ...state, image: { ...image, [inlineCacheMember]: told } }
}

function createdAt(epoch: Date | undefined): string {
  return (epoch ?? new Date()).toISOString()
}

async function write(build: Build, target: Exclude<CacheTarget, { type: 'inline' }>, results: readonly Root[]) {
  const { core, trail, epoch, registries, signal } = build
  const described = describe(trail.chosen(target.mode, results), createdAt(epoch))
  // Nothing was done that somebody else could be spared.
  if (described.layers.length === 0) return
  const stored = await storeManifest(build, described)
  if (target.type === 'local') return writeFolder(core, new OciLayout(target.folder), target.tag, stored)
  const name = await nameImage(core, [`gantry.local/build/cache:${crypto.randomUUID()}`], stored.descriptor)
  try {
    await registries.push(name, target.reference, signal)
  } finally {
    await core.images.delete({ name })
  }
}

interface StoredCache {
  readonly descriptor: JsonDescriptor
  /** Digests of all that it points to. */
  readonly children: readonly string[]
}

/** An image manifest, which every registry takes (BuildKit: `image-manifest=true`). */
async function storeManifest({ core, lease }: Build, { config, layers }: DescribedCache): Promise<StoredCache> {
  const stored = await storeJson(core, cacheConfigType, config, { lease, labels: {} })
  const unique = [...new Map(layers.map(layer => [layer.descriptor.digest, layer])).values()].map(layerOf)
  const digests = unique.map(({ digest }) => digest)
  const document = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config: stored, layers: unique }
  const labels = { 'containerd.io/gc.ref.content.config': stored.digest, ...contentLabels('l', digests) }
  const descriptor = await storeJson(core, mediaTypes.ociManifest, document, { lease, labels })
  return { descriptor, children: [stored.digest, ...digests] }
}

function layerOf({ descriptor: { mediaType, digest, size }, diffID }: Layer): JsonDescriptor {
  return { mediaType, digest, size: Number(size), annotations: { 'containerd.io/uncompressed': diffID } }
}

/** The manifest is last, and the name after it: a folder that is read meanwhile is whole. */
async function writeFolder(core: Core, layout: OciLayout, tag: string, { descriptor, children }: StoredCache) {
  for (const digest of [...children, descriptor.digest])
    if (!(await layout.has(digest))) await layout.write(digest, blob(core, digest))
  await layout.tag(tag, descriptor)
}

async function* blob({ content }: Core, digest: string): AsyncGenerator<Uint8Array> {
  for await (const { data } of content.read({ digest })) yield data
}
