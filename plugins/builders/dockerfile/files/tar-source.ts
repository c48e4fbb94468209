/**
 * A build context as it arrives: a tar archive, read once. Contents go one after the other into a single file and are
 * digested on the way; what a path is and where its bytes lie is kept in memory. Ten thousand files cost no system
 * call each, and a gigabyte is never held.
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { posix } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { extract, type Header } from 'tar-stream'
import { invalidArgument, messageOf, resourceExhausted } from '#api/errors/errors.ts'
import type { Entry, EntryType, SourceTree } from './source-tree.ts'
import { SpooledBytes } from './spooled-bytes.ts'

export interface TarOptions {
  /** `root`, the default: everything is root's, as in a context. `kept`: as the archive says. */
  readonly owners?: 'root' | 'kept'
  readonly limits?: TarLimits
}

export interface TarLimits {
  readonly maxEntries: number
  readonly maxBytes: number
}

export const tarLimits: TarLimits = { maxEntries: 2_000_000, maxBytes: 1024 ** 4 }

interface Stored {
  readonly entry: Entry
  readonly offset: number
  readonly digest: string
}

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
      const entries = extract()
      const { source, decompressors } = await opened(archive)
      const fed = pipeline([source, ...decompressors, entries])
      fed.catch(() => {})
      for await (const entry of entries) await spool.add(entry.header, entry as AsyncIterable<Buffer>)
      await fed
      await spool.flush()
    } catch (error) {
      if (error instanceof Error && /Invalid tar header|Unexpected end|incorrect header|unknown/i.test(error.message))
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

/** Bytes: ten thousand small files are a few writes. */
const writtenAtOnce = 1024 * 1024

class Spool {
  readonly stored = new Map<string, Stored>()
  readonly #handle: FileHandle
  readonly #limits: TarLimits
  readonly #keepsOwners: boolean
  #offset = 0
  #pending: Buffer[] = []
  #pendingBytes = 0

  constructor(handle: FileHandle, limits: TarLimits, keepsOwners: boolean) {
    this.#keepsOwners = keepsOwners
    this.#handle = handle
    this.#limits = limits
    this.#directory('/')
  }

  async add(header: Header, content: AsyncIterable<Buffer>): Promise<void> {
    const path = posix.resolve('/', header.name)
    const type = header.type === 'contiguous-file' ? 'file' : header.type
    if (this.stored.size >= this.#limits.maxEntries)
      throw resourceExhausted(`the build context has more than ${this.#limits.maxEntries} entries`)
    for (const parent of ancestors(posix.dirname(path))) if (!this.stored.has(parent)) this.#directory(parent)
    if (type === 'link') this.#hardLink(path, header)
    else if (isEntryType(type)) await this.#entry(path, type, header, content)
    for await (const _ of content);
  }

  async #entry(path: string, type: EntryType, header: Header, content: AsyncIterable<Buffer>): Promise<void> {
    const offset = this.#offset
    const hash = createHash('sha256')
    if (type === 'file')
      for await (const chunk of content) {
        hash.update(chunk)
        await this.#write(chunk)
      }
    const owner = this.#keepsOwners ? { uid: header.uid ?? 0, gid: header.gid ?? 0 } : { uid: 0, gid: 0 }
    const entry: Entry = {
      ...{ path, type, mode: (header.mode ?? 0o644) & 0o7777, ...owner, mtime: header.mtime ?? new Date(0) },
      size: this.#offset - offset,
      linkTarget: type === 'symlink' ? (header.linkname ?? '') : '',
      deviceMajor: header.devmajor ?? 0,
      deviceMinor: header.devminor ?? 0,
      xattrs: xattrsOf((header.pax ?? {}) as Record<string, string>),
    }
    this.stored.set(path, { entry, offset, digest: type === 'file' ? hash.digest('hex') : '' })
  }

  async #write(chunk: Buffer): Promise<void> {
    if (this.#offset + chunk.length > this.#limits.maxBytes)
      throw resourceExhausted(`the build context holds more than ${this.#limits.maxBytes} bytes`)
    this.#pending.push(chunk)
    this.#pendingBytes += chunk.length
    this.#offset += chunk.length
    if (this.#pendingBytes >= writtenAtOnce) await this.flush()
  }

  /** Puts what was added into the file. */
  async flush(): Promise<void> {
    const chunks = this.#pending
    this.#pending = []
    this.#pendingBytes = 0
    // Goes on where the last one ended.
    if (chunks.length > 0) await this.#handle.appendFile(Buffer.concat(chunks))
  }

  #hardLink(path: string, { linkname }: Header): void {
    const target = posix.resolve('/', linkname ?? '')
    const stored = this.stored.get(target)
    if (stored === undefined)
      throw invalidArgument(
        `the build context's "${path.slice(1)}" is a hard link to "${linkname}", which is not before it`,
      )
    this.stored.set(path, { ...stored, entry: { ...stored.entry, path } })
  }

  #directory(path: string): void {
    const none = { size: 0, linkTarget: '', deviceMajor: 0, deviceMinor: 0, xattrs: new Map<string, Buffer>() }
    const entry: Entry = { path, type: 'directory', mode: 0o755, uid: 0, gid: 0, mtime: new Date(0), ...none }
    this.stored.set(path, { entry, offset: 0, digest: '' })
  }
}

/** The path and all directories above it. */
function ancestors(path: string): string[] {
  return path === '/' ? ['/'] : [path, ...ancestors(posix.dirname(path))]
}

function isEntryType(type: string | null | undefined): type is EntryType {
  return ['file', 'directory', 'symlink', 'fifo', 'character-device', 'block-device'].includes(type ?? '')
}

function xattrsOf(pax: Readonly<Record<string, string>>): Map<string, Buffer> {
  const prefix = 'SCHILY.xattr.'
  const named = Object.entries(pax).filter(
    ([key]) => key.startsWith(`${prefix}security.capability`) || key.startsWith(`${prefix}user.`),
  )
  return new Map(named.map(([key, value]) => [key.slice(prefix.length), Buffer.from(value, 'latin1')]))
}

/** What its first bytes ask for. */
async function opened(archive: AsyncIterable<Uint8Array>) {
  const chunks = archive[Symbol.asyncIterator]()
  const first = await chunks.next()
  const opening = Buffer.from(first.done ? [] : first.value)
  async function* all() {
    if (!first.done) yield opening
    for (let next = await chunks.next(); !next.done; next = await chunks.next()) yield next.value
  }
  const isGzip = opening[0] === 0x1f && opening[1] === 0x8b
  const isZstd = opening.subarray(0, 4).equals(Buffer.from([0x28, 0xb5, 0x2f, 0xfd]))
  const decompressors = isGzip ? [createGunzip()] : isZstd ? [createZstdDecompress()] : []
  return { source: Readable.from(all(), { objectMode: false }), decompressors }
}
