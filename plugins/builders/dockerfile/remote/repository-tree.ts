/** A checked-out repository as every machine has it: git knows of a file's mode only whether it is executable. */
import type { Readable } from 'node:stream'
import { bytesOf, type Entry, type SourceTree } from '../files/source-tree.ts'

export interface RepositoryTreeOptions {
  /** Full id. */
  readonly commit: string
  /** Git's own folder, and its file in each submodule, are part of the tree. */
  readonly keepGitDir: boolean
}

export class RepositoryTree implements SourceTree {
  readonly #files: SourceTree
  readonly #options: RepositoryTreeOptions

  constructor(files: SourceTree, options: RepositoryTreeOptions) {
    this.#files = files
    this.#options = options
  }

  async at(path: string): Promise<Entry | undefined> {
    const entry = this.#hides(path) ? undefined : await this.#files.at(path)
    return entry && asCommitted(entry)
  }

  async children(path: string): Promise<Entry[]> {
    return (await this.#files.children(path)).filter(entry => !this.#hides(entry.path)).map(asCommitted)
  }

  read(entry: Entry): Readable {
    return this.#files.read(entry)
  }

  bytes(entry: Entry): Promise<Buffer> {
    return bytesOf(this.#files, entry)
  }

  /** Git's own files have times in them: there the commit stands for what they hold. */
  async digest(entry: Entry): Promise<string> {
    return entry.path.startsWith('/.git/') ? this.#options.commit : this.#files.digest(entry)
  }

  #hides(path: string): boolean {
    return !this.#options.keepGitDir && path.split('/').includes('.git')
  }
}

function asCommitted(entry: Entry): Entry {
  const isOpen = entry.type === 'directory' || (entry.mode & 0o100) !== 0
  return { ...entry, mode: entry.type === 'symlink' ? entry.mode : isOpen ? 0o755 : 0o644, uid: 0, gid: 0 }
}
