/**
 * An image archive's files into the content store, in one pass over a stream in whatever order they come. Nothing is
 * written to paths of the archive's choosing: big files become blobs, small known ones stay in memory.
 */
import { posix } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import type { Header } from 'tar-stream'
import { dataLoss, invalidArgument, isGantryError, messageOf } from '#api/errors/errors.ts'
import { maxManifestBytes } from '#api/types/oci.ts'
import { ArchiveBlobs, type ArchivedBlob, type ArchiveTarget } from './archive-blobs.ts'
import { compressionOf, headBytes, isTar } from './archive-format.ts'
import { ByteReader } from './byte-reader.ts'
import { tarFiles } from './tar-files.ts'

export interface ArchiveFiles {
  /** `index.json`, `manifest.json`, `oci-layout`: as they are. */
  readonly documents: ReadonlyMap<string, Buffer>
  /** By path, links followed. */
  blob(path: string): ArchivedBlob | undefined
}

const documents = new Set(['index.json', 'manifest.json', 'oci-layout'])
/** Leftovers of Docker's first archive format, which say nothing that manifest.json does not. */
const useless = /(^|\/)(VERSION|json|repositories)$/
const maxEntries = 200_000

/**
 * INVALID_ARGUMENT: not a tar; DATA_LOSS: damaged; FAILED_PRECONDITION: a blob that is not what its name says. A chunk of `archive` need
 * be valid only until the next is asked for.
 */
export async function readArchive(archive: AsyncIterable<Uint8Array>, target: ArchiveTarget): Promise<ArchiveFiles> {
  const files = new Files()
  const blobs = new ArchiveBlobs(target)
  const { signal } = target
  try {
    using packed = new ByteReader(archive, signal)
    using reader = await decompressed(packed, signal)
    let count = 0
    for await (const { header, body } of tarFiles(reader)) {
      if (++count > maxEntries) throw invalidArgument(`the archive has more than ${maxEntries} entries`)
      await takeEntry(files, header, body, blobs)
    }
    await blobs.settled()
  } catch (error) {
    await blobs.settled().catch(() => {})
    signal.throwIfAborted()
    throw archiveError(error)
  }
  return files
}

async function takeEntry(
  files: Files,
  header: Header,
  body: AsyncIterable<Uint8Array>,
  blobs: ArchiveBlobs,
): Promise<void> {
  const path = cleanPath(header.name)
  if (header.type === 'symlink' || header.type === 'link') {
    const to = header.linkname ?? ''
    files.links.set(path, cleanPath(header.type === 'link' ? to : posix.join(posix.dirname(path), to)))
  } else if (header.type === 'file' || header.type === 'contiguous-file') {
    if (documents.has(path)) files.documents.set(path, await wholeDocument(path, body))
    else if (!useless.test(path)) files.blobs.set(path, await blobs.store(path, body, header.size ?? 0))
  }
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

async function wholeDocument(path: string, body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of body) {
    length += chunk.length
    if (length > maxManifestBytes)
      throw invalidArgument(`the archive's ${path} is longer than ${maxManifestBytes} bytes`)
    chunks.push(Buffer.from(chunk))
  }
  return Buffer.concat(chunks)
}

/** gzip and zstd around the whole tar. */
async function decompressed(packed: ByteReader, signal: AbortSignal): Promise<ByteReader> {
  const first = await packed.peek(headBytes)
  if (first.length === 0) throw invalidArgument('the archive is empty')
  const compression = compressionOf(first)
  if (compression !== 'none') {
    const unpacker = compression === 'gzip' ? createGunzip() : createZstdDecompress()
    // The unpacker keeps what it is given for a while.
    const source = async function* () {
      for await (const chunk of packed.all()) yield Buffer.from(chunk)
    }
    pipeline(source, unpacker, { signal }).catch(error => unpacker.destroy(asError(error)))
    return new ByteReader(unpacker, signal)
  }
  if (!isTar(first)) throw invalidArgument('the archive is no tar: it starts neither like one nor like gzip or zstd')
  return packed
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
