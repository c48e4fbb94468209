/**
 * Files below a container's root, reached without ever following a link out of it: directories are opened by openat2(2)
 * with RESOLVE_IN_ROOT, and what lies in one is named through its descriptor, never followed.
 */

import type { Stats } from 'node:fs'
import { closeSync, constants } from 'node:fs'
import { lstat, mkdir, readlink } from 'node:fs/promises'
import { basename, dirname, join, normalize } from 'node:path'
import { isSysError, openInRoot } from '#api/sys/sys.ts'

/** open(2): a place in the tree, whose content is not touched. */
const O_PATH = 0o10000000

/** An open directory of the container. */
export class Folder implements Disposable {
  readonly #fd: number

  private constructor(fd: number) {
    this.#fd = fd
  }

  /** Links are followed within `root`. Node's codes: ENOENT, ENOTDIR, ELOOP. */
  static async open(root: string, path: string): Promise<Folder> {
    return new Folder(await openInRoot(root, path, O_PATH | constants.O_DIRECTORY))
  }

  /** Missing directories are made, as mkdir -p does. */
  static async make(root: string, path: string): Promise<Folder> {
    try {
      return await Folder.open(root, path)
    } catch (error) {
      if (!isSysError(error, 'ENOENT')) throw error
      using parent = await Folder.make(root, dirname(path))
      await mkdir(parent.at(basename(path)), 0o755).catch((failure: NodeJS.ErrnoException) => {
        if (failure.code !== 'EEXIST') throw failure
      })
      return Folder.open(root, path)
    }
  }

  /** Names the directory itself, wherever it is moved to. */
  get path(): string {
    return `/proc/self/fd/${this.#fd}`
  }

  /** A path for what lies directly in it; of "." and nothing, the directory itself. */
  at(name: string): string {
    return name === '' || name === '.' ? `/proc/self/fd/${this.#fd}/.` : `/proc/self/fd/${this.#fd}/${name}`
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd)
  }
}

/** Whatever lies at a path, links followed within `root`, for as long as it is held: `path` names it wherever it is moved to. */
export async function openEntry(root: string, path: string): Promise<Disposable & { path: string }> {
  const fd = await openInRoot(root, path === '' ? '.' : path, O_PATH)
  return { path: `/proc/self/fd/${fd}`, [Symbol.dispose]: () => closeSync(fd) }
}

/** Something in the container, by its own name: the last part of the path is not followed, unless a slash or dot ends it. */
export interface Entry extends Disposable {
  folder: Folder
  name: string
  stats: Stats
  /** Absolute in the container, with nothing resolved. */
  path: string
}

export async function findEntry(root: string, wanted: string): Promise<Entry> {
  const path = normalize(join('/', wanted))
  const isFollowed = path === '/' || /\/\.?$/.test(wanted)
  const plain = path.length > 1 ? path.replace(/\/$/, '') : path
  const folder = await Folder.open(root, isFollowed ? plain : dirname(plain))
  const name = isFollowed ? '.' : basename(plain)
  try {
    const stats = await lstat(folder.at(name))
    return { folder, name, stats, path: plain, [Symbol.dispose]: () => folder[Symbol.dispose]() }
  } catch (error) {
    folder[Symbol.dispose]()
    throw error
  }
}

/** Where a link leads, as an absolute path of the container; empty for anything else. */
export async function linkTarget({ folder, name, stats, path }: Entry): Promise<string> {
  if (!stats.isSymbolicLink()) return ''
  return join('/', dirname(path), '/', await absolute(await readlink(folder.at(name)), dirname(path)))
}

async function absolute(target: string, from: string): Promise<string> {
  if (!target.startsWith('/')) return target
  // Climb back, so that joining it to the link's directory gives the target.
  return join(from.replace(/[^/]+/g, '..').replace(/^\//, './'), target)
}
