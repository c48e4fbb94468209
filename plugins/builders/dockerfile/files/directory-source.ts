/** A directory of this machine as a source: a mounted root, mostly. */
import { createHash } from 'node:crypto'
import { createReadStream, type Stats } from 'node:fs'
import { lstat, readdir, readFile, readlink } from 'node:fs/promises'
import { join, posix } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { getXattr, listXattr } from '#api/sys/sys.ts'
import type { Entry, EntryType, SourceTree } from './source-tree.ts'

/** Paths must not have links in them that lead anywhere: resolve them first. */
export class DirectorySource implements SourceTree {
  readonly #root: string

  constructor(root: string) {
    this.#root = root
  }

  async at(path: string): Promise<Entry | undefined> {
    const place = join(this.#root, path)
    try {
      const stats = await lstat(place)
      const type = typeOf(stats)
      if (type === undefined) return undefined
      return {
        ...{ path, type, mode: stats.mode & 0o7777, uid: stats.uid, gid: stats.gid, mtime: stats.mtime },
        size: type === 'file' ? stats.size : 0,
        linkTarget: type === 'symlink' ? await readlink(place) : '',
        deviceMajor: (stats.rdev >> 8) & 0xfff,
        deviceMinor: (stats.rdev & 0xff) | ((stats.rdev >> 12) & 0xfff00),
        ...(type === 'file' && stats.nlink > 1 && { inode: `${stats.dev}:${stats.ino}` }),
        xattrs: type === 'file' || type === 'directory' ? await keptXattrs(place) : new Map(),
      }
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
      throw error
    }
  }

  async children(path: string): Promise<Entry[]> {
    const names = (await readdir(join(this.#root, path))).toSorted()
    const entries = await Promise.all(names.map(name => this.at(posix.join(path, name))))
    return entries.filter(entry => entry !== undefined)
  }

  read({ path }: Entry): Readable {
    return createReadStream(join(this.#root, path))
  }

  bytes({ path }: Entry): Promise<Buffer> {
    return readFile(join(this.#root, path))
  }

  async digest(entry: Entry): Promise<string> {
    const hash = createHash('sha256')
    await pipeline(this.read(entry), hash)
    return hash.digest('hex')
  }
}

/** Sockets are nothing an image can hold. */
function typeOf(stats: Stats): EntryType | undefined {
  if (stats.isFile()) return 'file'
  if (stats.isDirectory()) return 'directory'
  if (stats.isSymbolicLink()) return 'symlink'
  if (stats.isFIFO()) return 'fifo'
  if (stats.isCharacterDevice()) return 'character-device'
  return stats.isBlockDevice() ? 'block-device' : undefined
}

/** Those that a layer carries: what belongs to the machine (overlay's, SELinux's) stays. */
async function keptXattrs(path: string): Promise<Map<string, Buffer>> {
  const names = (await listXattr(path)).filter(name => name === 'security.capability' || name.startsWith('user.'))
  return new Map(await Promise.all(names.map(async name => [name, await getXattr(path, name)] as const)))
}
