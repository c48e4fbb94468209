/**
 * A snapshotter: each snapshot is a directory, a child is a copy of its parent. Names, kinds, parents, labels and crashes
 * are the SDK's business; here is how a tree is kept.
 */
import { execFile } from 'node:child_process'
import { chmod, mkdir } from 'node:fs/promises'
import { promisify } from 'node:util'
import type { Mount } from '#api/types/mount.ts'
import { defineSnapshotter } from '#sdk/define-snapshotter.ts'
import { serve } from '#sdk/serve.ts'
import { SnapshotDirectory, treeUsage } from '#sdk/snapshot-directory.ts'
import type { SnapshotNode, SnapshotStorage } from '#sdk/snapshot-storage.ts'
import type { SnapshotUsage } from '#sdk/snapshotter.ts'
import { StoredSnapshotter } from '#sdk/stored-snapshotter.ts'

interface Config {
  /** As of cp(1): whether copies may share their extents. */
  reflink?: 'auto' | 'never'
}

class Copies implements SnapshotStorage {
  readonly rebases = false
  readonly directory: SnapshotDirectory
  readonly #reflink: string

  constructor(directory: SnapshotDirectory, { reflink = 'auto' }: Config) {
    this.directory = directory
    this.#reflink = reflink
  }

  async make({ id, parentIds: [parent] }: SnapshotNode): Promise<void> {
    const tree = this.directory.of(id)
    await mkdir(tree)
    if (parent === undefined) await chmod(tree, 0o755)
    else await promisify(execFile)('cp', ['-a', `--reflink=${this.#reflink}`, `${this.directory.of(parent)}/.`, tree])
  }

  mounts({ id, info }: SnapshotNode): Mount[] {
    const options = ['rbind', info.kind === 'view' ? 'ro' : 'rw']
    return [{ type: 'bind', source: this.directory.of(id), target: '', options }]
  }

  usage({ id }: SnapshotNode): Promise<SnapshotUsage> {
    return treeUsage(this.directory.of(id))
  }
}

await serve(
  defineSnapshotter<Config>({
    id: 'tscopy',
    version: '1.0.0',
    capabilities: ['usage', 'cleanup'],
    async create({ root, config, log, step, openMetaStore }) {
      const directory = await SnapshotDirectory.open(root, { log, step })
      return StoredSnapshotter.open(await openMetaStore(), new Copies(directory, config), step)
    },
  }),
)
