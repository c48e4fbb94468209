/** Blobs on disk: `blobs/sha256/<hex>`, read-only, complete from the moment they have that name. */
import { randomUUID } from 'node:crypto'
import { renameSync, statSync } from 'node:fs'
import { type FileHandle, mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type Digest, digestHex, isDigest } from '#api/types/digest.ts'

/** Files removed side by side: the thread pool's, not the event loop's, work. */
const removedAtOnce = 32

export class BlobFiles {
  readonly #folder: string
  readonly #trash: string

  private constructor(root: string) {
    this.#folder = join(root, 'blobs', 'sha256')
    this.#trash = join(root, 'trash')
  }

  /** Makes the folders when missing; empties the trash a crash left. */
  static async open(root: string): Promise<BlobFiles> {
    const files = new BlobFiles(root)
    await mkdir(files.#folder, { recursive: true, mode: 0o700 })
    await rm(files.#trash, { recursive: true, force: true })
    await mkdir(files.#trash, { mode: 0o700 })
    return files
  }

  path(digest: Digest): string {
    return join(this.#folder, digestHex(digest))
  }

  /** Size of a blob, synchronously, for use within a transaction; undefined when it is not here. */
  sizeOf(digest: Digest): number | undefined {
    return statSync(this.path(digest), { throwIfNoEntry: false })?.size
  }

  /** Gives finished, synced data its name, durably. The same bytes there already are left and the new ones dropped. */
  async adopt(data: string, file: FileHandle, digest: Digest): Promise<void> {
    if (this.sizeOf(digest) !== undefined) return
    await file.chmod(0o444)
    await rename(data, this.path(digest))
    await using folder = await open(this.#folder)
    await folder.sync()
  }

  /** Digests of all blobs. */
  async digests(): Promise<Digest[]> {
    const names = await readdir(this.#folder)
    return names.map(hex => `sha256:${hex}`).filter(isDigest)
  }

  /** Takes a blob's name away at once, so that nobody adopts it; {@link emptyTrash} frees the bytes. */
  discard(digest: Digest): void {
    renameSync(this.path(digest), join(this.#trash, randomUUID()))
  }

  async emptyTrash(): Promise<void> {
    const names = await readdir(this.#trash)
    for (let at = 0; at < names.length; at += removedAtOnce)
      await Promise.all(names.slice(at, at + removedAtOnce).map(name => rm(join(this.#trash, name), { force: true })))
  }
}
