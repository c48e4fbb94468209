/**
 * An image archive's files into the content store, in one pass over a stream in whatever order they come. Nothing is
 * written to paths of the archive's choosing: big files become blobs, small known ones stay in memory.
 */
import { randomBytes } from 'node:crypto'
import { posix } from 'node:path'
import { PassThrough, type Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createGzip, createZstdDecompress } from 'node:zlib'
import { extract, type Header } from 'tar-stream'
import { dataLoss, invalidArgument, isGantryError, messageOf } from '#api/errors/errors.ts'
import { type Digest, isDigest } from '#api/types/digest.ts'
import { maxManifestBytes } from '#api/types/oci.ts'
import type { ContentStore, IngestWriter } from '#core/content/content.ts'
import { commitVerified, dropIngest, named, openWriter } from './blob-writing.ts'

export type Compression = 'none' | 'gzip' | 'zstd'

/** A file of the archive that is a blob now. */
export interface ArchivedBlob {
  readonly digest: Digest
  readonly size: number
  /** Told by its first bytes. */
  readonly compression: Compression
}

export interface ArchiveFiles {
  /** `index.json`, `manifest.json`, `oci-layout`: as they are. */
  readonly documents: ReadonlyMap<string, Buffer>
  /** By path, links followed. */
  blob(path: string): ArchivedBlob | undefined
}

export interface ArchiveTarget {
  readonly content: ContentStore
  readonly ns: string
  readonly lease: string
  readonly signal: AbortSignal
  /** Compress files that are plain tars. */
  readonly forceCompress: boolean
}

const documents = new Set(['index.json', 'manifest.json', 'oci-layout'])
/** Leftovers of Docker's first archive format, which say nothing that manifest.json does not. */
const useless = /(^|\/)(VERSION|json|repositories)$/
const maxEntries = 200_000

/** INVALID_ARGUMENT: not a tar; DATA_LOSS: damaged; FAILED_PRECONDITION: a blob that is not what its name says. */
export async function readArchive(archive: Readable, target: ArchiveTarget): Promise<ArchiveFiles> {
  const files = new Files()
  const tar = extract()
  const { signal } = target
  const source = await decompressed(archive)
  const feeding = pipeline([...source, tar], { signal }).catch(error => tar.destroy(asError(error)))
  try {
    let count = 0
    for await (const entry of tar) {
      if (++count > maxEntries) throw invalidArgument(`the archive has more than ${maxEntries} entries`)
      await takeEntry(files, entry.header, entry as unknown as Readable, target)
    }
    await feeding
  } catch (error) {
    signal.throwIfAborted()
    throw archiveError(error)
  } finally {
    tar.destroy()
  }
  return files
}

async function takeEntry(files: Files, header: Header, body: Readable, target: ArchiveTarget): Promise<void> {
  const path = cleanPath(header.name)
  if (header.type === 'symlink' || header.type === 'link') {
    const to = header.linkname ?? ''
    files.links.set(path, cleanPath(header.type === 'link' ? to : posix.join(posix.dirname(path), to)))
  } else if (header.type === 'file' || header.type === 'contiguous-file') {
    if (documents.has(path)) files.documents.set(path, await wholeDocument(path, body))
    else if (!useless.test(path)) files.blobs.set(path, await storeFile(path, header.size ?? 0, body, target))
  }
  body.resume()
}

class Files implements ArchiveFiles {
  readonly documents = new Map<string, Buffer>()
  readonly blobs = new Map<string, ArchivedBlob>()
  readonly links = new Map<string, string>()

  blob(path: string): ArchivedBlob | undefined {
    let at = cleanPath(path)
    for (let hops = 0; hops < 16; hops++) {
      const found = this.blobs.get(at)
      const next = this.links.get(at)
      if (found || next === undefined) return found
      at = next
    }
    return undefined
  }
}

function cleanPath(path: string): string {
  return posix.normalize(path).replace(/^\.\/|^\/+|\/+$/g, '')
}

async function wholeDocument(path: string, body: Readable): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of body as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > maxManifestBytes)
      throw invalidArgument(`the archive's ${path} is longer than ${maxManifestBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** Files below `blobs/` have their digest as name, and must have it as content. */
async function storeFile(path: string, size: number, body: Readable, target: ArchiveTarget): Promise<ArchivedBlob> {
  const digest = path.replace(/^blobs\/sha256\//, 'sha256:')
  const expected = isDigest(digest) ? digest : undefined
  const { first, whole } = await peek(body)
  const compression = compressionOf(first)
  const squeeze = target.forceCompress && expected === undefined && compression === 'none' && isTar(first)
  const bytes = squeeze ? whole.pipe(createGzip()) : whole
  if (squeeze) whole.on('error', error => bytes.destroy(error))
  const stored = expected
    ? await storeNamed(path, expected, size, bytes, target)
    : await storeUnnamed(path, bytes, target)
  return { ...stored, compression: squeeze ? 'gzip' : compression }
}

async function storeNamed(path: string, digest: Digest, size: number, bytes: Readable, target: ArchiveTarget) {
  const { content, ns, lease, signal } = target
  const options = { ref: `import-${digest}`, expected: digest, totalBytes: size, lease }
  await using writer = await openWriter(content, ns, options, signal)
  if (writer) {
    await fill(writer, path, bytes, target)
    await commitVerified(content, ns, writer, { mediaType: '', digest, size, annotations: {} }, `archive: ${path}`)
  }
  return { digest, size }
}

async function storeUnnamed(path: string, bytes: Readable, target: ArchiveTarget) {
  const { content, ns, lease, signal } = target
  await using writer = await openWriter(
    content,
    ns,
    { ref: `import-${randomBytes(12).toString('hex')}`, lease },
    signal,
  )
  if (writer === undefined) throw invalidArgument(`archive: ${path} cannot be stored`)
  await fill(writer, path, bytes, target)
  const { offset: size } = writer
  const digest = writer.digest()
  await commitVerified(content, ns, writer, { mediaType: '', digest, size, annotations: {} }, `archive: ${path}`)
  return { digest, size }
}

/** An ingest that holds something starts over: the archive cannot be asked for its rest alone. */
async function fill(
  writer: IngestWriter,
  path: string,
  bytes: Readable,
  { content, ns }: ArchiveTarget,
): Promise<void> {
  try {
    if (writer.offset > 0) await writer.truncate(0)
    for await (const chunk of bytes as AsyncIterable<Buffer>) await writer.write(chunk)
  } catch (error) {
    await dropIngest(content, ns, writer)
    throw named(`archive: ${path}`, error)
  }
}

/** gzip and zstd around the whole tar. */
async function decompressed(archive: Readable): Promise<[NodeJS.ReadableStream, ...NodeJS.ReadWriteStream[]]> {
  const { first, whole } = await peek(archive)
  if (first.length === 0) throw invalidArgument('the archive is empty')
  const compression = compressionOf(first)
  if (compression === 'gzip') return [whole, createGunzip()]
  if (compression === 'zstd') return [whole, createZstdDecompress()]
  if (!isTar(first)) throw invalidArgument('the archive is no tar: it starts neither like one nor like gzip or zstd')
  return [whole]
}

/** The first 512 bytes (fewer when there are no more), and the stream with them. */
async function peek(body: Readable): Promise<{ first: Buffer; whole: PassThrough }> {
  const whole = new PassThrough()
  const iterator = (body as AsyncIterable<Buffer>)[Symbol.asyncIterator]()
  const chunks: Buffer[] = []
  for (let length = 0; length < 512; ) {
    const next = await iterator.next()
    if (next.done) break
    chunks.push(next.value)
    length += next.value.length
  }
  const first = Buffer.concat(chunks)
  const rest = async function* () {
    if (first.length > 0) yield first
    for (let next = await iterator.next(); !next.done; next = await iterator.next()) yield next.value
  }
  pipeline(rest, whole).catch(error => whole.destroy(asError(error)))
  return { first: first.subarray(0, 512), whole }
}

function compressionOf(first: Buffer): Compression {
  if (first[0] === 0x1f && first[1] === 0x8b) return 'gzip'
  return first.length >= 4 && first.readUInt32LE(0) === 0xfd2fb528 ? 'zstd' : 'none'
}

/** ustar's magic, or a header of the older format whose checksum is right. */
function isTar(first: Buffer): boolean {
  if (first.length < 512) return false
  if (first.toString('latin1', 257, 262) === 'ustar') return true
  const sum = first.reduce((total, byte, i) => total + (i >= 148 && i < 156 ? 32 : byte), 0)
  return Number.parseInt(first.toString('latin1', 148, 156), 8) === sum
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}

function archiveError(error: unknown): unknown {
  if (isGantryError(error)) return error
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (/^(Z_|ZSTD_|ERR_ZLIB|ERR_ZSTD)/.test(code) || /tar|Unexpected end/i.test(messageOf(error)))
    return dataLoss(`the archive is damaged (${messageOf(error)})`, { cause: error })
  return error
}
