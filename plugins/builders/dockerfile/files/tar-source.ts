/**
 * A build context as it arrives: a tar archive, read once. Contents go one after the other into a single file and are
 * digested on the way; what a path is and where its bytes lie is kept in memory. Ten thousand files cost no system
 * call each, and a gigabyte is never held.
 */
import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { posix } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { invalidArgument, messageOf } from '#api/errors/errors.ts'
import { readTar } from './read-tar.ts'
import type { Entry, SourceTree } from './source-tree.ts'
import { Spool, type Stored, type TarLimits } from './spool.ts'
import { SpooledBytes } from './spooled-bytes.ts'

export interface TarOptions {
  /** `root`, the default: everything is root's, as in a context. `kept`: as the archive says. */
  readonly owners?: 'root' | 'kept'
  readonly limits?: TarLimits
}

export const tarLimits: TarLimits = { maxEntries: 2_000_000, maxBytes: 1024 ** 4 }

export class TarSource implements SourceTree {
  readonly #file: string
  readonly #stored: ReadonlyMap<string, Stored>
  readonly #children = new Map<string, Entry[]>()
  readonly #bytes: SpooledBytes

  private constructor(file: string, stored: ReadonlyMap<string, Stored>) {
    this.#file = file
    this.#stored = stored
    this.#bytes = new SpooledBytes(file)
    for (const { entry } of stored.values()) {
      if (entry.path === '/') continue
      const siblings = this.#children.get(posix.dirname(entry.path))
      if (siblings) siblings.push(entry)
      else this.#children.set(posix.dirname(entry.path), [entry])
    }
  }

  /**
   * Reads an archive (plain, gzip or zstd) to its end. `file`: where contents go; the caller's to remove.
   * INVALID_ARGUMENT for what is no archive; RESOURCE_EXHAUSTED past a limit.
   */
  static async receive(
    archive: AsyncIterable<Uint8Array>,
    file: string,
    { owners = 'root', limits = tarLimits }: TarOptions = {},
  ): Promise<TarSource> {
    await using handle = await open(file, 'wx', 0o600)
    const spool = new Spool(handle, limits, owners === 'kept')
    try {
      for await (const part of readTar(await decompressed(archive))) {
        if (Buffer.isBuffer(part)) await spool.write(part)
        else spool.begin(part)
      }
      await spool.flush()
    } catch (error) {
      if (isUnreadable(error))
        throw invalidArgument(`the build context is not a readable tar archive: ${messageOf(error)}`, { cause: error })
      throw error
    }
    return new TarSource(file, spool.stored)
  }

  async at(path: string): Promise<Entry | undefined> {
    return this.#stored.get(path)?.entry
  }

  async children(path: string): Promise<Entry[]> {
    return (this.#children.get(path) ?? []).toSorted((a, b) => (a.path < b.path ? -1 : 1))
  }

  read({ path, size }: Entry): Readable {
    const start = this.#stored.get(path)?.offset ?? 0
    return size === 0 ? Readable.from([]) : createReadStream(this.#file, { start, end: start + size - 1 })
  }

  bytes({ path, size }: Entry): Promise<Buffer> {
    return this.#bytes.at(this.#stored.get(path)?.offset ?? 0, size)
  }

  async digest({ path }: Entry): Promise<string> {
    return this.#stored.get(path)?.digest ?? ''
  }
}

/** Of gzip and zstd; an archive's own faults say so themselves. */
function isUnreadable(error: unknown): boolean {
  const { code = '' } = error as NodeJS.ErrnoException
  return /^(?:Z_|ZSTD_|ERR_ZSTD)/.test(code)
}

const decompressedBytes = 256 * 1024

/** What its first bytes ask for. */
async function decompressed(archive: AsyncIterable<Uint8Array>): Promise<AsyncIterable<Uint8Array>> {
  const chunks = archive[Symbol.asyncIterator]()
  const first = await chunks.next()
  const opening = Buffer.from(first.done ? [] : first.value)
  async function* all() {
    if (!first.done) yield opening
    for (let next = await chunks.next(); !next.done; next = await chunks.next()) yield next.value
  }
  const isGzip = opening[0] === 0x1f && opening[1] === 0x8b
  const isZstd = opening.subarray(0, 4).equals(Buffer.from([0x28, 0xb5, 0x2f, 0xfd]))
  if (!isGzip && !isZstd) return all()
  const plain = new PassThrough({ highWaterMark: decompressedBytes })
  const options = { chunkSize: decompressedBytes }
  const decompressor = isGzip ? createGunzip(options) : createZstdDecompress(options)
  // A failure reaches who reads.
  void pipeline(Readable.from(all(), { objectMode: false }), decompressor, plain).catch(() => {})
  return plain
}
