/**
 * Snapshots on disk: `<root>/snapshots/<number>/fs`, the tree (overlay's upper directory), and `work`, overlay's work
 * directory, for those that can be written.
 *
 * Short on purpose: the paths of 128 layers go into one mount option. A directory whose number the metadata does not
 * know belongs to nobody, whatever it holds.
 */
import { chmodSync, chownSync, mkdirSync, rmSync, statSync } from 'node:fs'
import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { resourceExhausted } from '#api/errors/errors.ts'
import type { Logger } from '#api/log/log.ts'

export class Storage {
  readonly #dir: string
  readonly #log: Logger
  /** The end of the line of deletions: one at a time, so that freeing space does not crowd out the living. */
  #deletions: Promise<void> = Promise.resolve()
  #closed = false

  private constructor(dir: string, log: Logger) {
    this.#dir = dir
    this.#log = log
  }

  /** `root` must exist. Others may pass through the directory (a container's user in a bind mount), not list it. */
  static async open(root: string, log: Logger): Promise<Storage> {
    const dir = join(root, 'snapshots')
    await mkdir(dir, { recursive: true, mode: 0o711 })
    return new Storage(dir, log)
  }

  /** The changes of one snapshot. */
  tree(id: number): string {
    return `${this.#dir}/${id}/fs`
  }

  work(id: number): string {
    return `${this.#dir}/${id}/work`
  }

  /**
   * Makes the directories of a new snapshot, synchronously: four system calls beat a thread pool's round trips. The
   * root of the tree has the owner and mode of the parent's, as merged trees show the topmost directory's.
   */
  make(id: number, { parent, writable }: { parent: number | undefined; writable: boolean }): void {
    const home = `${this.#dir}/${id}`
    try {
      mkdirSync(home, 0o711)
      mkdirSync(this.tree(id), 0o755)
      if (writable) mkdirSync(this.work(id), 0o711)
      if (parent === undefined) chmodSync(this.tree(id), 0o755)
      else inherit(this.tree(parent), this.tree(id))
    } catch (error) {
      rmSync(home, { recursive: true, force: true })
      if (isNoSpace(error)) throw resourceExhausted(`no space for a snapshot in "${this.#dir}"`, { cause: error })
      throw error
    }
  }

  /** Deletes behind the answer. What a crash leaves is found by {@link sweep}. */
  discard(id: number): void {
    this.#enqueue(`${this.#dir}/${id}`)
  }

  /** Hands every directory that is none of `owned` to deletion, and answers; {@link settled} tells when they are gone. */
  async sweep(owned: () => ReadonlySet<number>): Promise<void> {
    const found = await readdir(this.#dir)
    // Asked after listing: what is made in between is not in `found`, what is in `found` is recorded or dead.
    const living = owned()
    for (const name of found) if (!living.has(Number(name))) this.#enqueue(join(this.#dir, name))
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
        await rm(path, { recursive: true, force: true })
      } catch (error) {
        this.#log.warn({ err: error, path }, 'cannot delete the storage of a removed snapshot; cleanup tries again')
      }
    })
  }
}

function isNoSpace(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT')
}

function inherit(from: string, to: string): void {
  const { mode, uid, gid } = statSync(from)
  chownSync(to, uid, gid)
  // After chown, which clears set-id bits.
  chmodSync(to, mode & 0o7777)
}
