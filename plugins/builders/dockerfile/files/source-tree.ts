/**
 * Where COPY and ADD take files from: the build context, an image's root, another stage's. Paths are absolute within
 * the tree (`/a/b`); the root itself is `/`.
 */

import { posix } from 'node:path'
import type { Readable } from 'node:stream'
import { invalidArgument } from '#api/errors/errors.ts'

export type EntryType = 'file' | 'directory' | 'symlink' | 'fifo' | 'character-device' | 'block-device'

export interface Entry {
  readonly path: string
  readonly type: EntryType
  /** Permission bits with set-id and sticky. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly mtime: Date
  /** Bytes of a file; 0 otherwise. */
  readonly size: number
  /** Of a symbolic link, as it is written. */
  readonly linkTarget: string
  readonly deviceMajor: number
  readonly deviceMinor: number
  /** Equal for the names of one file; absent where it has no other name. */
  readonly inode?: string
  /** Extended attributes that images keep, such as `security.capability`. */
  readonly xattrs: ReadonlyMap<string, Buffer>
}

export interface SourceTree {
  /** What is at a path; links are not followed. */
  at(path: string): Promise<Entry | undefined>
  /** Entries directly in a directory, by name. */
  children(path: string): Promise<Entry[]>
  read(entry: Entry): Readable
  /** All of a file at once: for one of up to {@link smallFileBytes} it costs a fraction of a stream. */
  bytes?(entry: Entry): Promise<Buffer>
  /** SHA-256 of a file's bytes, in hex. */
  digest(entry: Entry): Promise<string>
}

/** What a file may have to be read at once. */
export const smallFileBytes = 64 * 1024

/** All of a small file. */
export async function bytesOf(tree: SourceTree, entry: Entry): Promise<Buffer> {
  return tree.bytes === undefined ? Buffer.concat(await tree.read(entry).toArray()) : await tree.bytes(entry)
}

/** Links on one way before it is taken for a circle (path_resolution(7)). */
const maxLinks = 40

/**
 * `path` with its links resolved as a process with this root would: none leads outside. What does not exist stays as
 * it is. `followLast`: the last component too. INVALID_ARGUMENT for a circle of links.
 */
export async function resolvePath(
  tree: Pick<SourceTree, 'at'>,
  path: string,
  { followLast = true } = {},
): Promise<string> {
  const pending = components(path)
  let resolved = '/'
  for (let links = 0; pending.length > 0; ) {
    const name = pending.shift() as string
    if (name === '..') {
      resolved = posix.dirname(resolved)
      continue
    }
    const next = posix.join(resolved, name)
    const entry = followLast || pending.length > 0 ? await tree.at(next) : undefined
    if (entry?.type !== 'symlink') {
      resolved = next
      continue
    }
    if (++links > maxLinks) throw invalidArgument(`path "${path}": too many levels of symbolic links`)
    pending.unshift(...components(entry.linkTarget))
    if (entry.linkTarget.startsWith('/')) resolved = '/'
  }
  return resolved
}

/** The directory's entries, all the way down, parents before their children; the directory itself left out. */
export async function* descend(tree: SourceTree, path: string): AsyncGenerator<Entry> {
  for (const child of await tree.children(path)) {
    yield child
    if (child.type === 'directory') yield* descend(tree, child.path)
  }
}

function components(path: string): string[] {
  return path.split('/').filter(name => name !== '' && name !== '.')
}
