/** `POST /images/create?fromImage=`: registry → store. */
import { told } from '#api/concurrency/told.ts'
import { isGantryError } from '#api/errors/errors.ts'
import { ImageStore } from '#api/gen/containerd/types/transfer/imagestore.ts'
import { OCIRegistry } from '#api/gen/containerd/types/transfer/registry.ts'
import { anyOf } from '#api/streaming/named-stream.ts'
import { hostPlatform, type Platform } from '#api/types/platform.ts'
import type { Reference } from '#api/types/reference.ts'
import { transfer } from '../core-client/transfers.ts'
import { HttpError, notFound, serverError } from '../http/http-error.ts'
import { answerCredentials, type RegistryAuth } from '../registry/credentials.ts'
import { RegistryClient } from '../registry/registry-client.ts'
import { tellImage } from './image-events.ts'
import { recordName, shown, shownRepository } from './names.ts'
import type { ProgressMessage } from './progress-messages.ts'
import { PullMessages } from './pull-messages.ts'
import { findRecord, keepingDisplaced } from './records.ts'
import type { ImageRoom } from './room.ts'

export interface PullRequest {
  reference: Reference
  platform: Platform | undefined
  auth: RegistryAuth
  /** `X-Meta-…`, passed on to the registry. */
  headers: Record<string, string>
  signal: AbortSignal
}

/** Throws before the first message what Docker answers with a status: a name that is not there, or not for us. */
export async function* pullImage(room: ImageRoom, request: PullRequest): AsyncGenerator<ProgressMessage> {
  const { core } = room.engine
  const { reference } = request
  const name = recordName(reference)
  const before = await findRecord(core, name)
  const messages = new PullMessages()
  yield* told<ProgressMessage>(say => keepingDisplaced(core, [name], () => run(room, request, messages, say)))
  const after = await findRecord(core, name)
  const isNew = before?.target?.digest !== after?.target?.digest || messages.hasFetched
  yield { status: `Digest: ${after?.target?.digest ?? ''}` }
  const text = isNew ? 'Downloaded newer image' : 'Image is up to date'
  yield { status: `Status: ${text} for ${shown(reference)}` }
  await tellPulled(room, reference)
}

/** `docker pull -a`: every tag that the registry tells of. */
export async function* pullAll(room: ImageRoom, request: PullRequest): AsyncGenerator<ProgressMessage> {
  const { domain, repository } = request.reference
  const registry = new RegistryClient(room.registries, domain, request.auth)
  for (const tag of await registry.tags(repository, request.signal))
    yield* pullImage(room, { ...request, reference: { domain, repository, tag } })
}

async function run(
  { engine: { core }, registries }: ImageRoom,
  { reference, platform, auth, headers, signal }: PullRequest,
  messages: PullMessages,
  say: (...messages: ProgressMessage[]) => void,
): Promise<void> {
  await using credentials = await answerCredentials(core, auth)
  const name = recordName(reference)
  const source = OCIRegistry.fromPartial({
    reference: name,
    resolver: { authStream: credentials.id, headers, hostDir: registries.folderFor(reference.domain) },
  })
  const wanted = { osVersion: '', osFeatures: [], ...(platform ?? hostPlatform()) }
  const store = ImageStore.fromPartial({
    name,
    platforms: [wanted],
    unpacks: [{ platform: wanted, snapshotter: '' }],
  })
  const ends = {
    source: anyOf('containerd.types.transfer.OCIRegistry', OCIRegistry, source),
    destination: anyOf('containerd.types.transfer.ImageStore', ImageStore, store),
  }
  try {
    for await (const progress of transfer(core, ends, { signal })) {
      // The first word that the registry knows the name.
      if (progress.event.startsWith('Pulling from'))
        say({ status: `Pulling from ${reference.repository}`, id: reference.tag ?? reference.digest ?? '' })
      say(...messages.read(progress))
    }
  } catch (error) {
    throw pullError(error, reference, platform)
  }
}

/** Docker's words for what registries refuse. */
export function pullError(error: unknown, reference: Reference, platform: Platform | undefined): unknown {
  if (!isGantryError(error)) return error
  const options = { cause: error }
  if (error.code === 'NOT_FOUND' && /no manifest for platform|without platform/.test(error.message)) {
    const { os, architecture, variant } = platform ?? hostPlatform()
    const wanted = [os, architecture, variant].filter(part => part !== '').join('/')
    return notFound(`no matching manifest for ${wanted} in the manifest list entries`, options)
  }
  if (error.code === 'NOT_FOUND')
    return notFound(`manifest for ${shown(reference)} not found: manifest unknown: manifest unknown`, options)
  if (error.code === 'UNAUTHENTICATED' || error.code === 'PERMISSION_DENIED')
    return notFound(
      `pull access denied for ${shownRepository(reference)}, repository does not exist or may require 'docker login': ${error.message}`,
      options,
    )
  if (error.code === 'INVALID_ARGUMENT') return new HttpError(400, error.message, options)
  return serverError(error.message, options)
}

async function tellPulled({ catalog, engine }: ImageRoom, reference: Reference): Promise<void> {
  const image = await catalog.find(recordName(reference))
  tellImage(engine.events, 'pull', { id: shown(reference), name: shownRepository(reference), image })
}
