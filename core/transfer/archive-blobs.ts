/** Files of an image archive become blobs: written one after the other as they come, synced and committed behind the reader's back. */
import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { createGzip } from 'node:zlib'
import { invalidArgument } from '#api/errors/errors.ts'
import { type Digest, isDigest } from '#api/types/digest.ts'
import type { ContentStore, IngestWriter, WriterOptions } from '#core/content/content.ts'
import { type Compression, compressionOf, isTar } from './archive-format.ts'
import { commitVerified, dropIngest, named, openWriter } from './blob-writing.ts'

/** A file of the archive that is a blob, or about to be one. */
export interface ArchivedBlob {
  readonly digest: Digest
  readonly size: number
  /** Told by its first bytes. */
  readonly compression: Compression
}

export interface ArchiveTarget {
  readonly content: ContentStore
  readonly ns: string
  readonly lease: string
  readonly signal: AbortSignal
  /** Compress files that are plain tars. */
  readonly forceCompress: boolean
}

/** Files being synced while the next is read. */
const maxCommits = 4

export class ArchiveBlobs {
  readonly #target: ArchiveTarget
  readonly #commits = new Set<Promise<void>>()
  #failure: { error: unknown } | undefined

  constructor(target: ArchiveTarget) {
    this.#target = target
  }

  /**
   * Writes a file; the blob is there once {@link settled} is fulfilled. Files below `blobs/` have their digest as name, and must have it
   * as content. Throws for its own file, and for an earlier one's commit.
   */
  async store(path: string, body: AsyncIterable<Uint8Array>, size: number): Promise<ArchivedBlob> {
    const digest = path.replace(/^blobs\/sha256\//, 'sha256:')
    const expected = isDigest(digest) ? digest : undefined
    const pieces = body[Symbol.asyncIterator]()
    const { value: first = Buffer.alloc(0) } = await pieces.next()
    const rest = { [Symbol.asyncIterator]: () => pieces }
    const compression = compressionOf(first)
    if (expected !== undefined) return { ...(await this.#named(path, expected, size, first, rest)), compression }
    if (!this.#target.forceCompress || compression !== 'none' || !isTar(first))
      return { ...(await this.#unnamed(path, first, rest)), compression }
    const squeezed = Readable.from(copiesOf(first, rest), { objectMode: false }).pipe(createGzip())
    return { ...(await this.#unnamed(path, Buffer.alloc(0), squeezed)), compression: 'gzip' }
  }

  /** Waits for all commits, also after a failure. Throws what the first one to fail threw. */
  async settled(): Promise<void> {
    await Promise.all(this.#commits)
    if (this.#failure !== undefined) throw this.#failure.error
  }

  async #named(path: string, digest: Digest, size: number, first: Uint8Array, rest: AsyncIterable<Uint8Array>) {
    const writer = await this.#open({ ref: `import-${digest}`, expected: digest, totalBytes: size })
    if (writer) await this.#write(writer, path, first, rest, { digest, size })
    else for await (const _ of rest);
    return { digest, size }
  }

  async #unnamed(path: string, first: Uint8Array, rest: AsyncIterable<Uint8Array>) {
    const writer = await this.#open({ ref: `import-${randomBytes(12).toString('hex')}` })
    if (writer === undefined) throw invalidArgument(`archive: ${path} cannot be stored`)
    return await this.#write(writer, path, first, rest)
  }

  #open(options: WriterOptions): Promise<IngestWriter | undefined> {
    const { content, ns, lease, signal } = this.#target
    return openWriter(content, ns, { ...options, lease }, signal)
  }

  /** An ingest that holds something starts over: the archive cannot be asked for its rest alone. */
  async #write(
    writer: IngestWriter,
    path: string,
    first: Uint8Array,
    rest: AsyncIterable<Uint8Array>,
    expected?: { digest: Digest; size: number },
  ): Promise<{ digest: Digest; size: number }> {
    const { content, ns } = this.#target
    const what = `archive: ${path}`
    try {
      if (writer.offset > 0) await writer.truncate(0)
      if (first.length > 0) await writer.write(first)
      for await (const piece of rest) await writer.write(piece)
    } catch (error) {
      await dropIngest(content, ns, writer)
      throw named(what, error)
    }
    const blob = expected ?? { digest: writer.digest(), size: writer.offset }
    const committing = commitVerified(content, ns, writer, { mediaType: '', annotations: {}, ...blob }, what)
    await this.#follow(committing.finally(() => writer.close()))
    return blob
  }

  /** Waits where too many are under way: they hold files open. */
  async #follow(committing: Promise<void>): Promise<void> {
    const commit = committing.catch((error: unknown) => {
      this.#failure ??= { error }
    })
    this.#commits.add(commit)
    void commit.then(() => this.#commits.delete(commit))
    if (this.#commits.size >= maxCommits) await Promise.race(this.#commits)
    if (this.#failure !== undefined) throw this.#failure.error
  }
}

/** Pieces share their memory; a stream keeps what it is given. */
async function* copiesOf(first: Uint8Array, rest: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  yield Buffer.from(first)
  for await (const piece of rest) yield Buffer.from(piece)
}
