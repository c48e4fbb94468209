/**
 * `<root>/snapshots/<number>`: where snapshotters that keep files keep them. What has a number that the records do not
 * know belongs to nobody, whatever it holds.
 */
import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from '#api/log/log.ts'
import { isSysError, statUsage } from '#api/sys/sys.ts'
import { removeTree } from '#api/sys/trees.ts'
import type { SnapshotUsage } from './snapshotter.ts'
import type { StepHook } from './step-hook.ts'

export interface SnapshotDirectoryOptions {
  log: Logger
  step: StepHook
  /** How one snapshot's storage is deleted; a missing one is success. Default: as a tree of files. */
  remove?: (path: string) => Promise<void>
}

export class SnapshotDirectory {
  readonly path: string
  readonly #log: Logger
  readonly #step: StepHook
  readonly #remove: (path: string) => Promise<void>
  /** The end of the line of deletions: one at a time, so that freeing space does not crowd out the living. */
  #deletions: Promise<void> = Promise.resolve()
  #closed = false

  private constructor(path: string, { log, step, remove = removeTree }: SnapshotDirectoryOptions) {
    this.path = path
    this.#log = log
    this.#step = step
    this.#remove = remove
  }

  /** `root` must exist. Others may pass through the directory (a container's user in a bind mount), not list it. */
  static async open(root: string, options: SnapshotDirectoryOptions): Promise<SnapshotDirectory> {
    const path = join(root, 'snapshots')
    await mkdir(path, { recursive: true, mode: 0o711 })
    return new SnapshotDirectory(path, options)
  }

  of(id: number): string {
    return `${this.path}/${id}`
  }

  /** Deletes behind the answer. What a crash leaves is found by {@link sweep}. */
  discard(id: number): void {
    this.#enqueue(this.of(id))
  }

  /** Hands all storage that is none of `owned` to deletion, and answers. `owned` is asked after storage was listed. */
  async sweep(owned: () => ReadonlySet<number>): Promise<void> {
    const found = await readdir(this.path)
    // Asked after listing: what is made in between is not in `found`, what is in `found` is recorded or dead.
    const living = owned()
    for (const name of found) if (!living.has(Number(name))) this.#enqueue(join(this.path, name))
  }

  /** Resolves when all deletions asked for so far are done. */
  settled(): Promise<void> {
    return this.#deletions
  }

  /** Waits for the deletion under way; those behind it are left to the sweep of the next start. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#deletions
  }

  #enqueue(path: string): void {
    this.#deletions = this.#deletions.then(async () => {
      if (this.#closed) return
      try {
        this.#step('deleting')
        await this.#remove(path)
        this.#step('deleted')
      } catch (error) {
        this.#log.warn({ err: error, path }, 'cannot delete the storage of a removed snapshot; cleanup tries again')
      }
    })
  }
}

/** What a tree takes on disk; nothing when it was removed while it was measured. */
export async function treeUsage(path: string): Promise<SnapshotUsage> {
  try {
    return await statUsage(path)
  } catch (error) {
    if (isSysError(error, 'ENOENT')) return { bytes: 0, inodes: 0 }
    throw error
  }
}
