/**
 * An image archive's files into the content store, in one pass over a stream in whatever order they come. Nothing is
 * written to paths of the archive's choosing: big files become blobs, small known ones stay in memory.
 */
import { posix } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { extract, type Header } from 'tar-stream'
import { dataLoss, invalidArgument, isGantryError, messageOf } from '#api/errors/errors.ts'
import { maxManifestBytes } from '#api/types/oci.ts'
import { ArchiveBlobs, type ArchivedBlob, type ArchiveTarget } from './archive-blobs.ts'
import { compressionOf, isTar, peek } from './archive-format.ts'

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

/** INVALID_ARGUMENT: not a tar; DATA_LOSS: damaged; FAILED_PRECONDITION: a blob that is not what its name says. */
export async function readArchive(archive: Readable, target: ArchiveTarget): Promise<ArchiveFiles> {
  const files = new Files()
  const blobs = new ArchiveBlobs(target)
  const tar = extract()
  const { signal } = target
  const source = await decompressed(archive)
  const feeding = pipeline([...source, tar], { signal }).catch(error => tar.destroy(asError(error)))
  try {
    let count = 0
    for await (const entry of tar) {
      if (++count > maxEntries) throw invalidArgument(`the archive has more than ${maxEntries} entries`)
      await takeEntry(files, entry.header, entry as unknown as Readable, blobs)
    }
    await feeding
    await blobs.settled()
  } catch (error) {
    await blobs.settled().catch(() => {})
    signal.throwIfAborted()
    throw archiveError(error)
  } finally {
    tar.destroy()
  }
  return files
}

async function takeEntry(files: Files, header: Header, body: Readable, blobs: ArchiveBlobs): Promise<void> {
  const path = cleanPath(header.name)
  if (header.type === 'symlink' || header.type === 'link') {
    const to = header.linkname ?? ''
    files.links.set(path, cleanPath(header.type === 'link' ? to : posix.join(posix.dirname(path), to)))
  } else if (header.type === 'file' || header.type === 'contiguous-file') {
    if (documents.has(path)) files.documents.set(path, await wholeDocument(path, body))
    else if (!useless.test(path)) files.blobs.set(path, await blobs.store(path, header.size ?? 0, body))
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

/** gzip and zstd around the whole tar. */
async function decompressed(archive: Readable): Promise<[NodeJS.ReadableStream, ...NodeJS.ReadWriteStream[]]> {
  const first = await peek(archive)
  if (first.length === 0) throw invalidArgument('the archive is empty')
  const compression = compressionOf(first)
  if (compression === 'gzip') return [archive, createGunzip()]
  if (compression === 'zstd') return [archive, createZstdDecompress()]
  if (!isTar(first)) throw invalidArgument('the archive is no tar: it starts neither like one nor like gzip or zstd')
  return [archive]
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
