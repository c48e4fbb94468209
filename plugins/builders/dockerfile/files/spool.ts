/** The contents of an archive on their way into one file. */
import { createHash, type Hash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { posix } from 'node:path'
import { invalidArgument, resourceExhausted } from '#api/errors/errors.ts'
import type { TarEntry } from './read-tar.ts'
import type { Entry, EntryType } from './source-tree.ts'
import { xattrsOf } from './tar-header.ts'

export interface TarLimits {
  readonly maxEntries: number
  readonly maxBytes: number
}

export interface Stored {
  readonly entry: Entry
  readonly offset: number
  readonly digest: string
}

/** Bytes: ten thousand small files are a few writes. */
const writtenAtOnce = 1024 * 1024

const emptyDigest = createHash('sha256').digest('hex')

/** Contents as they come, one after the other into a file; what each path is. */
export class Spool {
  readonly stored = new Map<string, Stored>()
  readonly #handle: FileHandle
  readonly #limits: TarLimits
  readonly #keepsOwners: boolean
  #offset = 0
  #pending: Buffer[] = []
  #pendingBytes = 0
  #links = 0
  /** Whose content comes. */
  #current: { readonly path: string; readonly hash: Hash } | undefined

  constructor(handle: FileHandle, limits: TarLimits, keepsOwners: boolean) {
    this.#keepsOwners = keepsOwners
    this.#handle = handle
    this.#limits = limits
    this.#directory('/')
  }

  /** What is written from now on is this one's content. */
  begin({ header, records }: TarEntry): void {
    this.#end()
    const path = posix.resolve('/', header.path ?? '')
    if (this.stored.size >= this.#limits.maxEntries)
      throw resourceExhausted(`the build context has more than ${this.#limits.maxEntries} entries`)
    for (const parent of ancestors(posix.dirname(path))) if (!this.stored.has(parent)) this.#directory(parent)
    if (header.type === 'Link') this.#hardLink(path, header)
    const type = entryTypes[header.type]
    if (type === undefined) return
    const owner = this.#keepsOwners ? { uid: header.uid ?? 0, gid: header.gid ?? 0 } : { uid: 0, gid: 0 }
    const entry: Entry = {
      ...{ path, type, mode: (header.mode ?? 0o644) & 0o7777, ...owner, mtime: header.mtime ?? new Date(0) },
      size: type === 'file' ? (header.size ?? 0) : 0,
      linkTarget: type === 'symlink' ? (header.linkpath ?? '') : '',
      ...{ deviceMajor: header.devmaj, deviceMinor: header.devmin, xattrs: xattrsOf(records) },
    }
    this.stored.set(path, { entry, offset: this.#offset, digest: type === 'file' ? emptyDigest : '' })
    if (type === 'file' && entry.size > 0) this.#current = { path, hash: createHash('sha256') }
  }

  async write(chunk: Buffer): Promise<void> {
    // Of an entry that is left out.
    if (this.#current === undefined) return
    if (this.#offset + chunk.length > this.#limits.maxBytes)
      throw resourceExhausted(`the build context holds more than ${this.#limits.maxBytes} bytes`)
    this.#current.hash.update(chunk)
    this.#pending.push(chunk)
    this.#pendingBytes += chunk.length
    this.#offset += chunk.length
    if (this.#pendingBytes >= writtenAtOnce) await this.#put()
  }

  /** Puts the rest into the file. */
  async flush(): Promise<void> {
    this.#end()
    await this.#put()
  }

  #end(): void {
    const stored = this.#current && this.stored.get(this.#current.path)
    if (this.#current !== undefined && stored !== undefined)
      this.stored.set(this.#current.path, { ...stored, digest: this.#current.hash.digest('hex') })
    this.#current = undefined
  }

  async #put(): Promise<void> {
    const chunks = this.#pending
    this.#pending = []
    this.#pendingBytes = 0
    // Goes on where the last one ended.
    if (chunks.length > 0) await this.#handle.appendFile(Buffer.concat(chunks))
  }

  #hardLink(path: string, { linkpath = '' }: TarEntry['header']): void {
    const target = posix.resolve('/', linkpath)
    const stored = this.stored.get(target)
    if (stored === undefined)
      throw invalidArgument(
        `the build context's "${path.slice(1)}" is a hard link to "${linkpath}", which is not before it`,
      )
    const inode = stored.entry.inode ?? String(++this.#links)
    this.stored.set(target, { ...stored, entry: { ...stored.entry, inode } })
    this.stored.set(path, { ...stored, entry: { ...stored.entry, path, inode } })
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

const entryTypes: Readonly<Record<string, EntryType>> = {
  ...{ File: 'file', OldFile: 'file', ContiguousFile: 'file', Directory: 'directory', SymbolicLink: 'symlink' },
  ...{ FIFO: 'fifo', CharacterDevice: 'character-device', BlockDevice: 'block-device' },
}
