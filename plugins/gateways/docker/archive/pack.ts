/** A tree of a container as a tar archive. */
import { constants, type Stats } from 'node:fs'
import { lstat, open, readdir, readlink } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { type Header, pack as newPack, type Pack } from 'tar-stream'
import { type Entry, Folder } from './root-files.ts'

export interface PackOptions {
  /** Name of the entry in the archive, in place of its own; empty: what lies in it, without it. */
  as: string
  /** What lies on another file system is left out (the directory it is mounted at is not). */
  oneFileSystem?: boolean
}

/** Packs while it is read. Errors destroy the stream. */
export function packEntry(root: string, entry: Entry, options: PackOptions): Pack {
  const archive = newPack()
  const packer = new Packer(archive, root, options.oneFileSystem ? entry.stats.dev : undefined)
  const start = async () => {
    await packer.add(entry.folder, entry.name, entry.path, options.as)
    archive.finalize()
  }
  start().catch(error => archive.destroy(error))
  return archive
}

class Packer {
  readonly #archive: Pack
  readonly #root: string
  readonly #device: number | undefined
  /** First name of a file with several, by device and inode. */
  readonly #links = new Map<string, string>()

  constructor(archive: Pack, root: string, device: number | undefined) {
    this.#archive = archive
    this.#root = root
    this.#device = device
  }

  async add(folder: Folder, name: string, path: string, as: string): Promise<void> {
    const stats = await lstat(folder.at(name))
    if (stats.isSocket()) return
    if (stats.isFile()) {
      await this.#addFile(folder.at(name), stats, as)
      return
    }
    if (as !== '') await this.#addPlain(folder.at(name), stats, as)
    if (stats.isDirectory() && (this.#device === undefined || stats.dev === this.#device))
      await this.#addChildren(path, as)
  }

  async #addChildren(path: string, as: string): Promise<void> {
    using folder = await Folder.open(this.#root, path)
    for (const name of (await readdir(folder.at('.'))).sort()) {
      const child = as === '' ? name : `${as.replace(/\/$/, '')}/${name}`
      await this.add(folder, name, `${path === '/' ? '' : path}/${name}`, child).catch(
        (error: NodeJS.ErrnoException) => {
          // A running container takes files away while they are read.
          if (error.code !== 'ENOENT') throw error
        },
      )
    }
  }

  async #addFile(place: string, stats: Stats, as: string): Promise<void> {
    const key = `${stats.dev}:${stats.ino}`
    const first = stats.nlink > 1 ? this.#links.get(key) : undefined
    if (first !== undefined) {
      this.#archive.entry({ ...header(stats, as), type: 'link', linkname: first, size: 0 })
      return
    }
    if (stats.nlink > 1) this.#links.set(key, as)
    const file = await open(place, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    try {
      const { size } = await file.stat()
      const entry = this.#archive.entry({ ...header(stats, as), type: 'file', size })
      if (size === 0) entry.end(Buffer.alloc(0))
      // What the file grows by while it is read is not part of it.
      else await pipeline(file.createReadStream({ autoClose: false, start: 0, end: size - 1 }), entry)
    } finally {
      await file.close()
    }
  }

  async #addPlain(place: string, stats: Stats, as: string): Promise<void> {
    const base = { ...header(stats, stats.isDirectory() ? `${as.replace(/\/$/, '')}/` : as), size: 0 }
    if (stats.isSymbolicLink()) this.#archive.entry({ ...base, type: 'symlink', linkname: await readlink(place) })
    else if (stats.isDirectory()) this.#archive.entry({ ...base, type: 'directory' })
    else if (stats.isFIFO()) this.#archive.entry({ ...base, type: 'fifo' })
    else {
      const type = stats.isBlockDevice() ? 'block-device' : 'character-device'
      const [devmajor, devminor] = [(stats.rdev >> 8) & 0xfff, (stats.rdev & 0xff) | ((stats.rdev >> 12) & 0xfff00)]
      this.#archive.entry({ ...base, type, devmajor, devminor })
    }
  }
}

function header(stats: Stats, name: string): Partial<Header> & { name: string } {
  return { name, mode: stats.mode & 0o7777, uid: stats.uid, gid: stats.gid, mtime: stats.mtime }
}
