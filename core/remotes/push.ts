/** Uploads: distribution spec, "Pushing blobs", "Pushing manifests". */
import { setTimeout as sleep } from 'node:timers/promises'
import { failedPrecondition, isGantryError, unavailable } from '#api/errors/errors.ts'
import type { OciDescriptor } from '#api/types/oci.ts'
import type { HostSession } from './host-session.ts'
import type { BlobSource } from './remotes.ts'
import { type Answer, type RetrySettings, throwIfCanceled } from './sender.ts'
import { counted, sliceOf } from './upload-body.ts'

export interface PushSettings {
  /** 0: one PUT. */
  chunkBytes: number
  retry: RetrySettings
}

interface Upload {
  session: HostSession
  what: string
  descriptor: OciDescriptor
  source: BlobSource
  signal: AbortSignal | undefined
}

const actions = 'pull,push'

/** See {@link Remote.pushBlob}. An upload that breaks off is started again, a chunked one goes on where it was. */
export async function pushBlob(
  session: HostSession,
  what: string,
  descriptor: OciDescriptor,
  source: BlobSource,
  { chunkBytes, retry }: PushSettings,
  signal: AbortSignal | undefined,
): Promise<'exists' | 'mounted' | 'uploaded'> {
  const head = { method: 'HEAD', target: `blobs/${descriptor.digest}`, actions, signal } as const
  const found = await session.request(what, [200, 404], head)
  await found.body.dump()
  if (found.status === 200) return 'exists'
  const upload: Upload = { session, what, descriptor, source, signal }
  for (let attempt = 1; ; attempt++) {
    try {
      const location = await start(upload)
      if (location === undefined) return 'mounted'
      await (chunkBytes > 0 ? putChunks(upload, location, chunkBytes, retry) : putWhole(upload, location))
      return 'uploaded'
    } catch (error) {
      if (attempt >= retry.attempts || !isGantryError(error, 'UNAVAILABLE')) throw error
      await sleep(Math.min(retry.baseDelayMs * 2 ** (attempt - 1), retry.maxDelayMs))
    }
  }
}

/** Opens an upload; undefined when the registry mounted the blob from another repository instead. */
async function start({ session, what, descriptor, source, signal }: Upload): Promise<URL | undefined> {
  const [from] = source.mountFrom ?? []
  const mount =
    from === undefined ? {} : { query: { mount: descriptor.digest, from }, scopes: [`repository:${from}:pull`] }
  const request = {
    method: 'POST',
    target: 'blobs/uploads/',
    headers: { 'content-length': '0' },
    actions,
    signal,
  } as const
  const answer = await session.request(what, [201, 202], { ...request, ...mount })
  await answer.body.dump()
  return answer.status === 201 ? undefined : locationOf(what, answer)
}

async function putWhole({ session, what, descriptor, source, signal }: Upload, location: URL): Promise<void> {
  const headers = { 'content-type': 'application/octet-stream', 'content-length': `${descriptor.size}` }
  const body = () => counted(source.open(0), 0, source.onProgress)
  const query = { digest: descriptor.digest }
  // One try: the upload's state after a failure is unknown, so the caller opens another.
  const answer = await session.request(what, [201, 204], {
    ...{ method: 'PUT', target: location, query, headers, body, actions, signal, attempts: 1 },
  })
  await finished(what, descriptor, answer)
}

async function putChunks(upload: Upload, first: URL, chunkBytes: number, retry: RetrySettings): Promise<void> {
  const { session, what, descriptor, signal } = upload
  let location = first
  let failures = 0
  for (let offset = 0; offset < descriptor.size; ) {
    try {
      const answer = await patch(upload, location, offset, Math.min(chunkBytes, descriptor.size - offset))
      ;({ location, offset } = progressOf(what, answer))
      failures = 0
    } catch (error) {
      if (++failures >= retry.attempts || !isGantryError(error, 'UNAVAILABLE')) throw error
      const state = await session.request(what, [204], { method: 'GET', target: location, actions, signal })
      await state.body.dump()
      ;({ location, offset } = progressOf(what, state, location))
    }
  }
  const request = { method: 'PUT', target: location, headers: { 'content-length': '0' }, actions, signal } as const
  await finished(
    what,
    descriptor,
    await session.request(what, [201, 204], { ...request, query: { digest: descriptor.digest } }),
  )
}

async function patch(upload: Upload, location: URL, offset: number, length: number): Promise<Answer> {
  const { session, what, source, signal } = upload
  const headers = {
    'content-type': 'application/octet-stream',
    'content-length': `${length}`,
    'content-range': `${offset}-${offset + length - 1}`,
  }
  const body = () => counted(sliceOf(source.open(offset), length), offset, source.onProgress)
  const request = { method: 'PATCH', target: location, headers, body, actions, signal, attempts: 1 } as const
  const answer = await session.request(what, [202], request)
  await answer.body.dump()
  return answer
}

/** `Range: 0-N` counts inclusively; a registry that has nothing says `0-0` or leaves it out. */
function progressOf(what: string, answer: Answer, fallback?: URL): { location: URL; offset: number } {
  const match = /^(?:bytes=)?0-(\d+)$/.exec(answer.header('range') ?? '')
  const last = Number(match?.[1] ?? 0)
  const location = answer.header('location') === undefined && fallback ? fallback : locationOf(what, answer)
  return { location, offset: last === 0 ? 0 : last + 1 }
}

async function finished(what: string, { digest }: OciDescriptor, answer: Answer): Promise<void> {
  await answer.body.dump()
  const told = answer.header('docker-content-digest')
  if (told !== undefined && told !== digest)
    throw failedPrecondition(`${what}: the registry stored it as ${told}, expected ${digest}`)
}

function locationOf(what: string, answer: Answer): URL {
  const location = URL.parse(answer.header('location') ?? '', answer.url.href)
  if (location === null || answer.header('location') === undefined)
    throw unavailable(`${what}: the registry opened an upload but named no usable place for it`)
  return location
}

/** See {@link Remote.pushManifest}. */
export async function pushManifest(
  session: HostSession,
  what: string,
  descriptor: OciDescriptor,
  bytes: Buffer,
  { tag, signal }: { tag?: string | undefined; signal?: AbortSignal | undefined },
): Promise<'exists' | 'uploaded'> {
  const target = `manifests/${tag ?? descriptor.digest}`
  const accept = { accept: descriptor.mediaType }
  const found = await session.request(what, [200, 404], { method: 'HEAD', target, headers: accept, actions, signal })
  await found.body.dump()
  if (found.status === 200 && found.header('docker-content-digest') === descriptor.digest) return 'exists'
  throwIfCanceled({ signal, method: 'PUT', url: found.url })
  const headers = { 'content-type': descriptor.mediaType, 'content-length': `${bytes.length}` }
  const request = { method: 'PUT', target, headers, body: () => bytes, actions, signal } as const
  await finished(what, descriptor, await session.request(what, [200, 201, 202], request))
  return 'uploaded'
}
