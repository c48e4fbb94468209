import { chmodSync, mkdirSync } from 'node:fs'
import { copyTree } from '#api/sys/trees.ts'
import type { Mount } from '#api/types/mount.ts'
import { type SnapshotDirectory, treeUsage } from '#sdk/snapshot-directory.ts'
import type { SnapshotNode, SnapshotStorage, StepHook } from '#sdk/snapshot-storage.ts'
import type { SnapshotUsage } from '#sdk/snapshotter.ts'

/**
 * `<root>/snapshots/<number>` is the tree itself. A view of something shows that one's tree and has none of its own.
 * A copy in the making needs no other name than a whole one: only the record tells that it is whole.
 */
export class VfsStorage implements SnapshotStorage {
  readonly rebases = false
  readonly directory: SnapshotDirectory
  readonly #step: StepHook

  constructor(directory: SnapshotDirectory, step: StepHook) {
    this.directory = directory
    this.#step = step
  }

  async make({ id, parentIds: [parent], info }: SnapshotNode): Promise<void> {
    if (parent === undefined) return this.#makeEmpty(id)
    if (info.kind === 'view') return
    this.#step('copying')
    // Not stopped when the process is told to end: what takes longer than it is given is swept by the next start.
    await copyTree(this.directory.of(parent), this.directory.of(id))
  }

  #makeEmpty(id: number): void {
    mkdirSync(this.directory.of(id))
    this.#step('empty')
    // Whatever the umask.
    chmodSync(this.directory.of(id), 0o755)
  }

  mounts({ id, parentIds: [parent], info }: SnapshotNode): Mount[] {
    const [owner, access] = info.kind === 'view' ? [parent ?? id, 'ro'] : [id, 'rw']
    return [{ type: 'bind', source: this.directory.of(owner), target: '', options: [access, 'rbind'] }]
  }

  /** All of it: a copy takes the space of its parent's files again, but for shared extents, which du(1) counts too. */
  usage({ id }: SnapshotNode): Promise<SnapshotUsage> {
    return treeUsage(this.directory.of(id))
  }
}
