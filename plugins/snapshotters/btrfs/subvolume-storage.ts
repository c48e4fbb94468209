import { chmodSync } from 'node:fs'
import {
  createSubvolume,
  setSubvolumeReadOnly,
  snapshotSubvolume,
  subvolumeInfo,
  subvolumeUsage,
} from '#api/sys/btrfs.ts'
import { isSysError } from '#api/sys/sys.ts'
import type { Mount } from '#api/types/mount.ts'
import type { SnapshotDirectory } from '#sdk/snapshot-directory.ts'
import type { SnapshotNode, SnapshotStorage, StepHook } from '#sdk/snapshot-storage.ts'
import type { SnapshotUsage } from '#sdk/snapshotter.ts'

/**
 * `<root>/snapshots/<number>` is a subvolume. A view of something mounts that one's subvolume and has none of its own.
 * A commit seals the subvolume where it is: it keeps its number, and nothing is copied.
 */
export class SubvolumeStorage implements SnapshotStorage {
  readonly rebases = false
  readonly directory: SnapshotDirectory
  readonly #device: string
  readonly #step: StepHook

  constructor(directory: SnapshotDirectory, device: string, step: StepHook) {
    this.directory = directory
    this.#device = device
    this.#step = step
  }

  async make({ id, parentIds: [parent], info }: SnapshotNode): Promise<void> {
    const path = this.directory.of(id)
    if (parent === undefined) return this.#makeEmpty(path, info.kind === 'view')
    if (info.kind === 'view') return
    await snapshotSubvolume(this.directory.of(parent), path)
    this.#step('snapshot')
  }

  async #makeEmpty(path: string, readOnly: boolean): Promise<void> {
    await createSubvolume(path)
    this.#step('subvolume')
    // Whatever the umask.
    chmodSync(path, 0o755)
    if (readOnly) await setSubvolumeReadOnly(path, true)
  }

  async mounts({ id, parentIds: [parent], info }: SnapshotNode): Promise<Mount[]> {
    const isView = info.kind === 'view'
    const subvolume = await subvolumeInfo(this.directory.of(isView ? (parent ?? id) : id))
    const options = [`subvolid=${subvolume.id}`, ...(isView ? ['ro'] : [])]
    return [{ type: 'btrfs', source: this.#device, target: '', options }]
  }

  async usage({ id }: SnapshotNode): Promise<SnapshotUsage> {
    try {
      const { bytes, inodes } = await subvolumeUsage(this.directory.of(id))
      return { bytes, inodes }
    } catch (error) {
      // Removed while it was measured.
      if (isSysError(error, 'ENOENT')) return { bytes: 0, inodes: 0 }
      throw error
    }
  }

  /** Measuring, which comes next, writes everything out. */
  freeze({ id }: SnapshotNode): Promise<void> {
    return setSubvolumeReadOnly(this.directory.of(id), true)
  }

  thaw({ id }: SnapshotNode): Promise<void> {
    return setSubvolumeReadOnly(this.directory.of(id), false)
  }
}
