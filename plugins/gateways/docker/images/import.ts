/** `POST /images/create?fromSrc=`: a tar becomes an image of one layer. */
import { spawn } from 'node:child_process'
import { createHash, type Hash } from 'node:crypto'
import { once } from 'node:events'
import { PassThrough, Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createGzip, createZstdDecompress } from 'node:zlib'
import { writeStream } from '#api/content/write-blob.ts'
import { messageOf } from '#api/errors/errors.ts'
import { mediaTypes } from '#api/types/oci.ts'
import type { Platform } from '#api/types/platform.ts'
import type { Reference } from '#api/types/reference.ts'
import type { Core } from '../core-client/core.ts'
import { badRequest, serverError } from '../http/http-error.ts'
import { changedConfig } from './config-changes.ts'
import { tellImage } from './image-events.ts'
import { formatReferenceOrNone } from './names.ts'
import type { ProgressMessage } from './progress-messages.ts'
import type { ImageRoom } from './room.ts'
import { holdLease, type NewLayer, storeImage } from './store-image.ts'

export interface ImportRequest {
  body: Readable
  /** `-`, or a URL that is fetched. */
  source: string
  reference: Reference | undefined
  message: string
  changes: readonly string[]
  platform: Platform | undefined
  signal: AbortSignal
}

export async function* importImage(room: ImageRoom, request: ImportRequest): AsyncGenerator<ProgressMessage> {
  const { core, events } = room.engine
  const { source, reference, platform } = request
  const config = changedConfig({}, request.changes)
  const archive = source === '-' ? request.body : await download(source, request.signal)
  if (source !== '-') yield { status: `Downloading from ${source}` }
  await using lease = await holdLease(core)
  const layer = await storeLayer(core, archive, lease.id)
  const comment = request.message === '' ? `Imported from ${source}` : request.message
  const name = formatReferenceOrNone(reference)
  const history = [{ created: new Date().toISOString(), comment }]
  const image = { config, author: '', comment: '', layers: [layer], history, name, ...(platform && { platform }) }
  const id = await storeImage(core, image, lease.id)
  tellImage(events, 'import', { id, name: name ?? id })
  yield { status: id }
}

async function download(source: string, signal: AbortSignal): Promise<Readable> {
  const url = URL.parse(source.includes('://') ? source : `http://${source}`)
  if (url === null || !/^https?:$/.test(url.protocol)) throw badRequest(`invalid source "${source}": not an http URL`)
  const answer = await fetch(url, { signal }).catch((cause: unknown) => {
    throw serverError(`Get "${url}": ${messageOf(cause)}`, { cause })
  })
  if (!answer.ok || answer.body === null) throw serverError(`failed to GET ${url} with status ${answer.status}`)
  return Readable.fromWeb(answer.body as never)
}

/** The tar as it unpacks gives the diffID; what is kept is compressed, ready to be pushed. */
async function storeLayer(core: Core, archive: Readable, lease: string): Promise<NewLayer> {
  const diffId = createHash('sha256')
  const compressed = createGzip({ level: 1 })
  const packing = pipeline(await unpacked(archive), hashing(diffId), compressed)
  packing.catch(error => compressed.destroy(error))
  const diffIdNow = () => `sha256:${diffId.copy().digest('hex')}`
  const labels = () => ({ 'containerd.io/uncompressed': diffIdNow() })
  const ref = `docker-import-${crypto.randomUUID()}`
  const blob = await writeStream(core, compressed, { ref, lease, labels }).catch((cause: unknown) => {
    throw badRequest(messageOf(cause), { cause })
  })
  await packing
  return { mediaType: mediaTypes.ociLayerGzip, ...blob, diffId: diffIdNow() }
}

function hashing(hash: Hash): Transform {
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk)
      done(null, chunk)
    },
  })
}

interface Format {
  magic: Buffer
  open(source: Readable): Readable
}

const formats: readonly Format[] = [
  { magic: Buffer.from([0x1f, 0x8b]), open: source => through(source, createGunzip()) },
  { magic: Buffer.from([0x28, 0xb5, 0x2f, 0xfd]), open: source => through(source, createZstdDecompress()) },
  { magic: Buffer.from('BZh'), open: source => throughProgram(source, 'bzip2') },
  { magic: Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a]), open: source => throughProgram(source, 'xz') },
]

/** Docker takes a tar as it is, or compressed by gzip, zstd, bzip2 or xz. */
async function unpacked(source: Readable): Promise<Readable> {
  const iterator = source[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  const first = await iterator.next()
  if (first.done) throw badRequest('the archive is empty')
  const whole = Readable.from(joined(first.value, iterator), { objectMode: false })
  return formats.find(({ magic }) => first.value.subarray(0, magic.length).equals(magic))?.open(whole) ?? whole
}

async function* joined(first: Buffer, rest: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  yield first
  for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value
}

function through(source: Readable, transform: Transform): Readable {
  source.on('error', error => transform.destroy(error))
  return source.pipe(transform)
}

/** As Docker does for what its language has no library for. */
function throughProgram(source: Readable, program: 'bzip2' | 'xz'): Readable {
  const child = spawn(program, ['-d', '-c'], { stdio: ['pipe', 'pipe', 'ignore'] })
  const output = new PassThrough()
  const failed = (error: Error) => void output.destroy(error)
  child.once('error', error => failed(new Error(`${program} is needed for this archive: ${error.message}`)))
  pipeline(source, child.stdin).catch(failed)
  pipeline(child.stdout, output, { end: false }).catch(failed)
  void once(child, 'close').then(
    ([code]) => (code === 0 ? output.end() : failed(new Error(`${program} failed`))),
    failed,
  )
  return output
}
