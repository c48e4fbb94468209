/** What the other nouns have of images: {@link EngineImages}. */

import { isGantryError, messageOf } from '#api/errors/errors.ts'
import { formatPlatform, parsePlatform } from '#api/types/platform.ts'
import type { CommitImage, EngineImages, ResolvedImage } from '../engine/images.ts'
import { badRequest } from '../http/http-error.ts'
import type { CatalogImage } from './catalog.ts'
import { changedConfig } from './config-changes.ts'
import { tellImage } from './image-events.ts'
import { parseName, recordName } from './names.ts'
import { findRecord } from './records.ts'
import type { ImageRoom } from './room.ts'
import { type NewLayer, storeImage } from './store-image.ts'

export function dockerImages(room: ImageRoom): EngineImages {
  return {
    resolve: (reference, platform) => resolve(room, reference, platform),
    commit: (request, options) => commit(room, request, options?.lease ?? ''),
  }
}

async function resolve(room: ImageRoom, text: string, platformText?: string): Promise<ResolvedImage> {
  const platform = platformText ? readPlatform(platformText) : undefined
  const quick = platform === undefined ? await byName(room, text) : undefined
  if (quick) return quick
  const image = await room.catalog.resolve(text, platform)
  return resolved(image, image.records[0]?.name ?? '', image.target.digest)
}

/** The usual case on the way of `docker run`: one name, one record, no list. */
async function byName({ catalog, engine: { core } }: ImageRoom, text: string): Promise<ResolvedImage | undefined> {
  if (/^(sha256:)?[0-9a-f]{64}$/.test(text)) return undefined
  const record = await findRecord(core, recordName(parseName(text)))
  const content = record?.target && (await catalog.targets.read(record.target))
  return content && record?.target && resolved(content, record.name, record.target.digest)
}

function resolved(
  { id, manifest, platform, json, chainIds }: Pick<CatalogImage, 'id' | 'manifest' | 'platform' | 'json' | 'chainIds'>,
  name: string,
  targetDigest: string,
): ResolvedImage {
  return {
    recordName: name,
    id,
    manifestDigest: manifest.digest,
    targetDigest,
    chainId: chainIds.at(-1) ?? '',
    platform: formatPlatform(platform),
    config: json.config ?? {},
  }
}

/** 400 in words that name the text. */
export function readPlatform(text: string) {
  try {
    return parsePlatform(text)
  } catch (cause) {
    if (isGantryError(cause)) throw badRequest(messageOf(cause), { cause })
    throw cause
  }
}

async function commit(room: ImageRoom, request: CommitImage, lease: string): Promise<string> {
  const { core, events } = room.engine
  const { parent, layer, author, comment } = request
  const below = await room.catalog.resolve(parent.id)
  const layers: NewLayer[] = below.layers.map(({ mediaType, digest, size }, i) => ({
    ...{ mediaType, digest, sizeBytes: size, diffId: below.diffIds[i] ?? '' },
  }))
  if (layer) layers.push({ ...layer, sizeBytes: Number(layer.sizeBytes) })
  const step = {
    created: new Date().toISOString(),
    created_by: request.createdBy,
    ...(author !== '' && { author }),
    ...(comment !== '' && { comment }),
    ...(layer === undefined && { empty_layer: true }),
  }
  const name = request.reference ? recordName(parseName(request.reference)) : undefined
  const config = changedConfig(request.config, request.changes ?? [])
  const history = [...(below.json.history ?? []), step]
  const id = await storeImage(core, { config, author, comment, layers, history, name, platform: below.platform }, lease)
  tellImage(events, 'create', { id, name: name ?? id })
  return id
}
