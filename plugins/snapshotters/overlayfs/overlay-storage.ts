import { chmodSync, chownSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { failedPrecondition } from '#api/errors/errors.ts'
import { isSysError, syncfs } from '#api/sys/sys.ts'
import type { Mount } from '#api/types/mount.ts'
import { type SnapshotDirectory, treeUsage } from '#sdk/snapshot-directory.ts'
import type { SnapshotNode, SnapshotStorage, StepHook } from '#sdk/snapshot-storage.ts'
import type { SnapshotUsage } from '#sdk/snapshotter.ts'
import { overlayMounts } from './overlay-mounts.ts'

/**
 * `true` on an active snapshot: its overlay skips all syncing (option `volatile`), for contents that nobody needs after
 * the host goes down.
 */
export const volatileLabel = 'containerd.io/snapshot/overlay.volatile'

/**
 * `<root>/snapshots/<number>/fs`: the tree (overlay's upper directory), and `work`, overlay's work directory, for those
 * that can be written. Short on purpose: the paths of 128 layers go into one mount option.
 */
export class OverlayStorage implements SnapshotStorage {
  readonly rebases = true
  readonly directory: SnapshotDirectory
  readonly #mountOptions: readonly string[]
  readonly #step: StepHook
  readonly #bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()

  constructor(directory: SnapshotDirectory, mountOptions: readonly string[], step: StepHook) {
    this.directory = directory
    this.#mountOptions = mountOptions
    this.#step = step
  }

  /** The changes of one snapshot. */
  tree(id: number): string {
    return `${this.directory.of(id)}/fs`
  }

  work(id: number): string {
    return `${this.directory.of(id)}/work`
  }

  /**
   * Synchronously: four system calls beat a thread pool's round trips. The root of the tree has the owner and mode of
   * the parent's, as merged trees show the topmost directory's.
   */
  make({ id, parentIds: [parent], info }: SnapshotNode): void {
    mkdirSync(this.directory.of(id), 0o711)
    this.#step('home')
    mkdirSync(this.tree(id), 0o755)
    this.#step('tree')
    if (info.kind === 'active') mkdirSync(this.work(id), 0o711)
    if (parent === undefined) chmodSync(this.tree(id), 0o755)
    else inherit(this.tree(parent), this.tree(id))
  }

  mounts(node: SnapshotNode): Mount[] {
    const isVolatile = node.info.labels[volatileLabel] === 'true' && node.info.kind === 'active'
    if (!isVolatile || node.parentIds.length === 0) return overlayMounts(node, this, this.#mountOptions)
    this.#trust(node)
    return overlayMounts(node, this, [...this.#mountOptions, 'volatile'])
  }

  /**
   * A volatile overlay leaves a mark in its work directory, and is not mounted again where that is: the host may have
   * gone down in between, and what was not written out with it. While the host has been up, nothing is lost.
   */
  #trust({ id, info }: SnapshotNode): void {
    const note = `${this.directory.of(id)}/volatile-since`
    const since = readIfThere(note)
    if (since === undefined) writeFileSync(note, this.#bootId, { mode: 0o600 })
    else if (since !== this.#bootId)
      throw failedPrecondition(
        `snapshot ${info.name} was volatile when the host went down, and may lack what was written last: remove it`,
      )
    rmSync(`${this.work(id)}/work/incompat`, { recursive: true, force: true })
  }

  /** What was never synced is written out before it becomes a layer. */
  async freeze({ id, info }: SnapshotNode): Promise<void> {
    if (info.labels[volatileLabel] === 'true') await syncfs(this.tree(id))
  }

  /** The upper directory alone, however much lies below it. */
  usage({ id }: SnapshotNode): Promise<SnapshotUsage> {
    return treeUsage(this.tree(id))
  }
}

function inherit(from: string, to: string): void {
  const { mode, uid, gid } = statSync(from)
  chownSync(to, uid, gid)
  // After chown, which clears set-id bits.
  chmodSync(to, mode & 0o7777)
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (isSysError(error, 'ENOENT')) return undefined
    throw error
  }
}
