/** `POST /images/{name}/push`: store → registry. */

import { blobInfo } from '#api/content/read-blob.ts'
import { addLabels } from '#api/content/write-blob.ts'
import { isGantryError, messageOf } from '#api/errors/errors.ts'
import { ImageStore } from '#api/gen/containerd/types/transfer/imagestore.ts'
import { OCIRegistry } from '#api/gen/containerd/types/transfer/registry.ts'
import { anyOf } from '#api/streaming/named-stream.ts'
import type { Platform } from '#api/types/platform.ts'
import { formatReference, type Reference } from '#api/types/reference.ts'
import { transfer } from '../core-client/transfers.ts'
import { notFound, serverError } from '../http/http-error.ts'
import { answerCredentials, type RegistryAuth } from '../registry/credentials.ts'
import { type CatalogImage, sourceLabel } from './catalog.ts'
import { tellImage } from './image-events.ts'
import { shortId, shown, shownRepository } from './names.ts'
import type { ProgressMessage } from './progress-messages.ts'
import { PushMessages } from './pull-messages.ts'
import { putRecord } from './records.ts'
import type { ImageRoom } from './room.ts'

export interface PushRequest {
  /** Without a tag: every tag of the repository. */
  repository: Pick<Reference, 'domain' | 'repository'>
  tag: string
  platform: Platform | undefined
  auth: RegistryAuth
  headers: Record<string, string>
  signal: AbortSignal
}

export async function* pushImage(room: ImageRoom, request: PushRequest): AsyncGenerator<ProgressMessage> {
  const { domain, repository } = request.repository
  yield { status: `The push refers to repository [${domain}/${repository}]` }
  for (const { image, reference } of await chosen(room, request)) yield* pushOne(room, request, image, reference)
}

interface Chosen {
  image: CatalogImage
  reference: Reference
}

async function chosen({ catalog }: ImageRoom, { repository: wanted, tag }: PushRequest): Promise<Chosen[]> {
  const all = (await catalog.all()).flatMap(image => image.tags.map(reference => ({ image, reference })))
  const inRepository = all.filter(
    ({ reference }) => reference.domain === wanted.domain && reference.repository === wanted.repository,
  )
  const found = inRepository.filter(({ reference }) => tag === '' || reference.tag === tag)
  if (found.length > 0) return found
  if (tag === '') throw notFound(`An image does not exist locally with the tag: ${shownRepository(wanted)}`)
  throw notFound(`tag does not exist: ${shown({ ...wanted, tag })}`)
}

async function* pushOne(
  room: ImageRoom,
  request: PushRequest,
  image: CatalogImage,
  reference: Reference,
): AsyncGenerator<ProgressMessage> {
  const { core } = room.engine
  const name = formatReference(reference)
  const pushed = await contentToPush(room, image, name, request.platform)
  await using credentials = await answerCredentials(core, request.auth)
  const { headers, signal } = request
  const resolver = { authStream: credentials.id, headers, hostDir: room.registries.folderFor(reference.domain) }
  const ends = {
    source: anyOf('containerd.types.transfer.ImageStore', ImageStore, ImageStore.fromPartial(pushed.store)),
    destination: anyOf(
      'containerd.types.transfer.OCIRegistry',
      OCIRegistry,
      OCIRegistry.fromPartial({ reference: name, resolver }),
    ),
  }
  const diffIds = new Map(image.layers.map(({ digest }, i) => [digest as string, image.diffIds[i] ?? digest]))
  const messages = new PushMessages(digest => shortId(diffIds.get(digest) ?? digest))
  try {
    for await (const progress of transfer(core, ends, { signal })) yield* messages.read(progress)
  } catch (error) {
    throw pushError(error)
  }
  await rememberPlace(room, reference, pushed.digest)
  const { digest, size } = pushed
  yield { status: `${reference.tag}: digest: ${digest} size: ${size}` }
  yield { progressDetail: {}, aux: { Tag: reference.tag, Digest: digest, Size: size } }
  tellImage(room.engine.events, 'push', { id: shown(reference), name: shownRepository(reference), image })
}

interface Pushed {
  store: { name: string; platforms: { os: string; architecture: string; variant: string }[] }
  digest: string
  size: number
}

/**
 * The whole index when all of it is here. Of one that was pulled for one platform, that platform's manifest: and then the
 * name stands for that alone, here as in the registry.
 */
async function contentToPush(
  { catalog, engine: { core } }: ImageRoom,
  image: CatalogImage,
  name: string,
  platform: Platform | undefined,
): Promise<Pushed> {
  const target = image.records.find(record => record.name === name)?.target ?? image.target
  const manifests = await catalog.targets.manifests(target)
  const here = await Promise.all(manifests.map(({ digest }) => blobInfo(core, digest)))
  if (platform === undefined && here.every(info => info !== undefined))
    return { store: { name, platforms: [] }, digest: target.digest, size: Number(target.size) }
  const content = platform === undefined ? image : await catalog.targets.read(target, platform)
  if (content === undefined) throw notFound(`image ${name} has no content for the platform that is to be pushed`)
  const { mediaType, digest, size } = content.manifest
  if (platform === undefined) {
    await putRecord(core, name, { mediaType, digest, size: BigInt(size), annotations: {} })
    return { store: { name, platforms: [] }, digest, size }
  }
  return { store: { name, platforms: [content.platform] }, digest, size }
}

/** From now on the image has a digest in that repository. */
async function rememberPlace({ engine: { core } }: ImageRoom, reference: Reference, digest: string): Promise<void> {
  const { domain, repository } = reference
  const label = sourceLabel(domain)
  const known = (await blobInfo(core, digest))?.labels[label]?.split(',') ?? []
  if (!known.includes(repository)) await addLabels(core, digest, { [label]: [...known, repository].join(',') })
}

function pushError(error: unknown): unknown {
  if (!isGantryError(error)) return error
  if (error.code === 'UNAUTHENTICATED') return serverError(`unauthorized: ${messageOf(error)}`, { cause: error })
  if (error.code === 'PERMISSION_DENIED')
    return serverError(`denied: requested access to the resource is denied: ${messageOf(error)}`, { cause: error })
  return serverError(messageOf(error), { cause: error })
}
