/** {@link Remotes} over HTTP. */
import { failedPrecondition, internal, isGantryError, notFound, resourceExhausted } from '#api/errors/errors.ts'
import { type Digest, isDigest, sha256Digest } from '#api/types/digest.ts'
import { maxManifestBytes, mediaTypes, type OciDescriptor } from '#api/types/oci.ts'
import { formatReference, parseReference, type Reference } from '#api/types/reference.ts'
import { readLimited } from './answer-errors.ts'
import { Connections } from './connections.ts'
import { HostSession } from './host-session.ts'
import { type Capability, loadHosts } from './hosts.ts'
import { pushBlob, pushManifest } from './push.ts'
import type { BlobBody, BlobSource, Remote, RemoteOptions, Remotes, RemotesConfig } from './remotes.ts'
import type { Answer, RetrySettings } from './sender.ts'

const acceptedManifests = [
  mediaTypes.ociIndex,
  mediaTypes.dockerList,
  mediaTypes.ociManifest,
  mediaTypes.dockerManifest,
  '*/*;q=0.1',
].join(', ')

/** Remotes that share connections; dispose to close them. */
export function createRemotes(config: RemotesConfig = {}): Remotes {
  const connections = new Connections({
    connectionsPerHost: config.connectionsPerHost ?? 8,
    connectTimeoutMs: config.connectTimeoutMs ?? 30_000,
    headersTimeoutMs: config.headersTimeoutMs ?? 60_000,
    idleTimeoutMs: config.idleTimeoutMs ?? 60_000,
  })
  const retry: RetrySettings = {
    attempts: config.attempts ?? 5,
    baseDelayMs: config.baseDelayMs ?? 200,
    maxDelayMs: config.maxDelayMs ?? 10_000,
  }
  const schemes = new Map<string, 'http' | 'https'>()
  return {
    async open(text: string, options: RemoteOptions = {}): Promise<Remote> {
      const reference = parseReference(text)
      const hostDir = options.hostDir ?? config.hostDir
      const hosts = await loadHosts(reference.domain, { hostDir, defaultScheme: options.defaultScheme })
      const { credentials, headers = {} } = options
      const sessions = hosts.map(
        host => new HostSession({ host, reference, connections, credentials, retry, headers, schemes }),
      )
      return new RegistryRemote(reference, sessions, config.uploadChunkBytes ?? 0, retry)
    },
    [Symbol.asyncDispose]: () => connections[Symbol.asyncDispose](),
  }
}

class RegistryRemote implements Remote {
  readonly reference: Reference
  readonly #sessions: HostSession[]
  readonly #uploadChunkBytes: number
  readonly #retry: RetrySettings

  constructor(reference: Reference, sessions: HostSession[], uploadChunkBytes: number, retry: RetrySettings) {
    this.reference = reference
    this.#sessions = sessions
    this.#uploadChunkBytes = uploadChunkBytes
    this.#retry = retry
  }

  async resolve(signal?: AbortSignal): Promise<OciDescriptor> {
    const what = `failed to resolve reference "${formatReference(this.reference)}"`
    const name = this.reference.digest ?? this.reference.tag ?? 'latest'
    return this.#firstOf('resolve', what, session => resolveOn(session, what, name, signal))
  }

  async manifest(descriptor: OciDescriptor, signal?: AbortSignal): Promise<Buffer> {
    const what = this.#what(`manifest ${descriptor.digest}`)
    if (descriptor.size > maxManifestBytes)
      throw resourceExhausted(`${what}: ${descriptor.size} bytes; manifests may have ${maxManifestBytes}`)
    return this.#firstOf('pull', what, async session => {
      const bytes = await getManifest(session, what, descriptor.digest, signal)
      return verified(what, await readLimited(bytes.body, maxManifestBytes, what), descriptor)
    })
  }

  blob(descriptor: OciDescriptor, offset: number, signal?: AbortSignal): Promise<BlobBody> {
    const what = this.#what(`blob ${descriptor.digest}`)
    return this.#firstOf('pull', what, session => blobFrom(session, what, descriptor, offset, signal))
  }

  pushBlob(descriptor: OciDescriptor, source: BlobSource, signal?: AbortSignal) {
    const what = this.#what(`blob ${descriptor.digest}`)
    const settings = { chunkBytes: this.#uploadChunkBytes, retry: this.#retry }
    return pushBlob(this.#pushSession(what), what, descriptor, source, settings, signal)
  }

  pushManifest(
    descriptor: OciDescriptor,
    bytes: Buffer,
    options: { tag?: string | undefined; signal?: AbortSignal | undefined } = {},
  ) {
    const what = this.#what(`manifest ${options.tag ?? descriptor.digest}`)
    return pushManifest(this.#pushSession(what), what, descriptor, bytes, options)
  }

  async digestOf(tagOrDigest: string, signal?: AbortSignal): Promise<Digest | undefined> {
    const what = this.#what(`manifest ${tagOrDigest}`)
    try {
      return (await this.#firstOf('resolve', what, session => resolveOn(session, what, tagOrDigest, signal))).digest
    } catch (error) {
      if (isGantryError(error, 'NOT_FOUND')) return undefined
      throw error
    }
  }

  #what(part: string): string {
    return `${part} of "${this.reference.domain}/${this.reference.repository}"`
  }

  /** Images are pushed to one host: the last that takes them, the registry itself unless configured otherwise. */
  #pushSession(what: string): HostSession {
    const session = this.#sessions.findLast(({ host }) => host.capabilities.has('push'))
    if (session === undefined)
      throw failedPrecondition(`${what}: no host of ${this.reference.domain} is configured for push`)
    return session
  }

  /** Hosts in order until one succeeds. The last one's failure is told: it is the registry itself. */
  async #firstOf<T>(capability: Capability, what: string, body: (session: HostSession) => Promise<T>): Promise<T> {
    const sessions = this.#sessions.filter(({ host }) => host.capabilities.has(capability))
    if (sessions.length === 0)
      throw notFound(`${what}: no host of ${this.reference.domain} is configured for ${capability}`)
    for (const [i, session] of sessions.entries()) {
      try {
        return await body(session)
      } catch (error) {
        if (i === sessions.length - 1 || isGantryError(error, 'CANCELED')) throw error
      }
    }
    throw internal(`${what}: no host was tried`)
  }
}

/** HEAD is cheap, and free of some registries' rate limits; those that tell too little are asked for the bytes. */
async function resolveOn(
  session: HostSession,
  what: string,
  name: string,
  signal: AbortSignal | undefined,
): Promise<OciDescriptor> {
  const request = { target: `manifests/${name}`, headers: { accept: acceptedManifests }, signal }
  const head = await session.request(what, [200, 405], { ...request, method: 'HEAD' })
  await head.body.dump()
  const digest = head.header('docker-content-digest') ?? ''
  const size = Number(head.header('content-length') ?? 0)
  const mediaType = mediaTypeOf(head)
  if (head.status === 200 && isDigest(digest) && size > 0 && mediaType !== '') {
    expectDigest(what, name, digest)
    return { mediaType, digest, size, annotations: {} }
  }
  const answer = await session.request(what, [200], { ...request, method: 'GET' })
  const bytes = await readLimited(answer.body, maxManifestBytes, what)
  const actual = sha256Digest(bytes)
  expectDigest(what, name, actual)
  return { mediaType: mediaTypeOf(answer), digest: actual, size: bytes.length, annotations: {} }
}

function expectDigest(what: string, name: string, actual: Digest): void {
  if (isDigest(name) && name !== actual)
    throw failedPrecondition(`${what}: unexpected digest ${actual}, expected ${name}`)
}

function mediaTypeOf(answer: Answer): string {
  const [type = ''] = (answer.header('content-type') ?? '').split(';')
  return type.trim()
}

function getManifest(
  session: HostSession,
  what: string,
  digest: Digest,
  signal: AbortSignal | undefined,
): Promise<Answer> {
  const headers = { accept: acceptedManifests }
  return session.request(what, [200], { method: 'GET', target: `manifests/${digest}`, headers, signal })
}

function verified(what: string, bytes: Buffer, { digest, size }: OciDescriptor): Buffer {
  if (bytes.length !== size) throw failedPrecondition(`${what}: ${bytes.length} bytes came, expected ${size}`)
  const actual = sha256Digest(bytes)
  if (actual !== digest) throw failedPrecondition(`${what}: unexpected digest ${actual}, expected ${digest}`)
  return bytes
}

async function blobFrom(
  session: HostSession,
  what: string,
  { digest, size }: OciDescriptor,
  offset: number,
  signal: AbortSignal | undefined,
): Promise<BlobBody> {
  const headers: Record<string, string> = { 'accept-encoding': 'identity' }
  if (offset > 0) headers.range = `bytes=${offset}-`
  const answer = await session.request(what, [200, 206, 416], {
    method: 'GET',
    target: `blobs/${digest}`,
    headers,
    signal,
  })
  if (answer.status === 416) {
    await answer.body.dump()
    if (offset === 0) throw failedPrecondition(`${what}: the registry has no bytes of it`)
    return blobFrom(session, what, { digest, size, mediaType: '', annotations: {} }, 0, signal)
  }
  const start = answer.status === 206 ? startOfRange(answer) : 0
  const length = answer.header('content-length')
  if (start === undefined || start > offset || (length !== undefined && start + Number(length) !== size)) {
    answer.body.destroy()
    const came = answer.header('content-range') ?? `${length} bytes`
    throw failedPrecondition(
      `${what}: the registry answers with ${came}, expected ${size - offset} bytes from ${offset}`,
    )
  }
  return { offset: start, body: answer.body }
}

function startOfRange(answer: Answer): number | undefined {
  const match = /^bytes (\d+)-\d+\//.exec(answer.header('content-range') ?? '')
  return match ? Number(match[1]) : undefined
}
