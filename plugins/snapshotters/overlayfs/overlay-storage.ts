import { chmodSync, chownSync, mkdirSync, statSync } from 'node:fs'
import type { Mount } from '#api/types/mount.ts'
import { type SnapshotDirectory, treeUsage } from '#sdk/snapshot-directory.ts'
import type { SnapshotNode, SnapshotStorage, StepHook } from '#sdk/snapshot-storage.ts'
import type { SnapshotUsage } from '#sdk/snapshotter.ts'
import { overlayMounts } from './overlay-mounts.ts'

/**
 * `<root>/snapshots/<number>/fs`: the tree (overlay's upper directory), and `work`, overlay's work directory, for those
 * that can be written. Short on purpose: the paths of 128 layers go into one mount option.
 */
export class OverlayStorage implements SnapshotStorage {
  readonly rebases = true
  readonly #directory: SnapshotDirectory
  readonly #mountOptions: readonly string[]
  readonly #step: StepHook

  constructor(directory: SnapshotDirectory, mountOptions: readonly string[], step: StepHook) {
    this.#directory = directory
    this.#mountOptions = mountOptions
    this.#step = step
  }

  /** The changes of one snapshot. */
  tree(id: number): string {
    return `${this.#directory.of(id)}/fs`
  }

  work(id: number): string {
    return `${this.#directory.of(id)}/work`
  }

  /**
   * Synchronously: four system calls beat a thread pool's round trips. The root of the tree has the owner and mode of
   * the parent's, as merged trees show the topmost directory's.
   */
  make({ id, parentIds: [parent], info }: SnapshotNode): void {
    mkdirSync(this.#directory.of(id), 0o711)
    this.#step('home')
    mkdirSync(this.tree(id), 0o755)
    this.#step('tree')
    if (info.kind === 'active') mkdirSync(this.work(id), 0o711)
    if (parent === undefined) chmodSync(this.tree(id), 0o755)
    else inherit(this.tree(parent), this.tree(id))
  }

  mounts(node: SnapshotNode): Mount[] {
    return overlayMounts(node, this, this.#mountOptions)
  }

  /** The upper directory alone, however much lies below it. */
  usage({ id }: SnapshotNode): Promise<SnapshotUsage> {
    return treeUsage(this.tree(id))
  }

  discard(id: number): void {
    this.#directory.discard(id)
  }

  sweep(owned: () => ReadonlySet<number>): Promise<void> {
    return this.#directory.sweep(owned)
  }

  settled(): Promise<void> {
    return this.#directory.settled()
  }

  close(): Promise<void> {
    return this.#directory.close()
  }
}

function inherit(from: string, to: string): void {
  const { mode, uid, gid } = statSync(from)
  chownSync(to, uid, gid)
  // After chown, which clears set-id bits.
  chmodSync(to, mode & 0o7777)
}
