/**
 * The overlayfs snapshotter: a snapshot is a directory of changes, a chain of them is merged by the kernel (overlay(5)).
 * Preparing costs three directories and one row, whatever the size of the image.
 *
 * Crash safety comes from one order. Storage is made under a number never used before, then recorded; a record is
 * deleted, then its storage. So a recorded snapshot always has its storage, and storage without a record is rubbish
 * that the next start sweeps.
 */
import * as z from 'zod'
import { isSysError, statUsage } from '#api/sys/sys.ts'
import { defineSnapshotter } from '#sdk/define-snapshotter.ts'
import type { MetaStore } from '#sdk/meta-store.ts'
import { configOf } from '#sdk/plugin-config.ts'
import { selectSnapshots } from '#sdk/select-snapshots.ts'
import type {
  CommitOptions,
  Mount,
  PrepareOptions,
  SnapshotInfo,
  Snapshotter,
  SnapshotUsage,
} from '#sdk/snapshotter.ts'
import { overlayMounts } from './overlay-mounts.ts'
import { checkOverlay, needsUserXattr } from './probe.ts'
import { Storage } from './storage.ts'

const configSchema = z.strictObject({
  mount_options: z
    .array(z.string())
    .default([])
    .describe('Further options of every overlay mount, such as "volatile"; an own "index=" replaces ours.'),
})

export const overlayfs = defineSnapshotter({
  id: 'overlayfs',
  version: '0.1.0',
  capabilities: ['rebase', 'usage', 'cleanup'],
  ...configOf(configSchema),
  async create({ config, root, log, openMetaStore }) {
    const options = await mountOptions(config.mount_options)
    await checkOverlay(root, options)
    const storage = await Storage.open(root, log)
    const meta = await openMetaStore()
    await storage.sweep(() => meta.ids())
    return new OverlaySnapshotter(meta, storage, options)
  },
})

/** `index=off`: with it on, the kernel refuses a lower directory that another overlay has used as upper (EBUSY, ESTALE). */
async function mountOptions(configured: readonly string[]): Promise<string[]> {
  const names = new Set(configured.map(option => option.split('=', 1)[0]))
  const index = names.has('index') ? [] : ['index=off']
  const userXattr = !names.has('userxattr') && (await needsUserXattr()) ? ['userxattr'] : []
  return [...index, ...userXattr, ...configured]
}

class OverlaySnapshotter implements Snapshotter {
  readonly #meta: MetaStore
  readonly #storage: Storage
  readonly #mountOptions: readonly string[]

  constructor(meta: MetaStore, storage: Storage, mountOptions: readonly string[]) {
    this.#meta = meta
    this.#storage = storage
    this.#mountOptions = mountOptions
  }

  async prepare(key: string, parent: string, { labels = {} }: PrepareOptions = {}): Promise<Mount[]> {
    return this.#create({ kind: 'active', key, parent, labels })
  }

  async view(key: string, parent: string, { labels = {} }: PrepareOptions = {}): Promise<Mount[]> {
    return this.#create({ kind: 'view', key, parent, labels })
  }

  #create(request: Parameters<MetaStore['create']>[0]): Mount[] {
    const writable = request.kind === 'active'
    const node = this.#meta.create(request, ({ id, parentIds }) =>
      this.#storage.make(id, { parent: parentIds[0], writable }),
    )
    return overlayMounts(node, this.#storage, this.#mountOptions)
  }

  async mounts(key: string): Promise<Mount[]> {
    return overlayMounts(this.#meta.mountable(key), this.#storage, this.#mountOptions)
  }

  /** Measures first: the walk may take long, and the record holds all others up. */
  async commit(name: string, key: string, options: CommitOptions = {}): Promise<void> {
    const { id } = this.#meta.active(key)
    this.#meta.commit(name, key, await statUsage(this.#storage.tree(id)), options)
  }

  async remove(key: string): Promise<void> {
    this.#storage.discard(this.#meta.remove(key).id)
  }

  async stat(key: string): Promise<SnapshotInfo> {
    return this.#meta.get(key).info
  }

  async update(info: Pick<SnapshotInfo, 'name' | 'labels'>, fieldPaths?: readonly string[]): Promise<SnapshotInfo> {
    return this.#meta.update(info, fieldPaths)
  }

  async *list(filters: readonly string[] = []): AsyncIterable<SnapshotInfo> {
    yield* selectSnapshots(this.#meta.all(), filters)
  }

  async usage(key: string): Promise<SnapshotUsage> {
    const recorded = this.#meta.committedUsage(key)
    if (recorded) return recorded
    const { id, info } = this.#meta.get(key)
    // A view holds nothing of its own; its empty tree is ours, not its user's.
    return info.kind === 'view' ? { bytes: 0, inodes: 0 } : measured(this.#storage.tree(id))
  }

  async cleanup(): Promise<void> {
    await this.#storage.sweep(() => this.#meta.ids())
    await this.#storage.settled()
  }

  async close(): Promise<void> {
    await this.#storage.close()
    await this.#meta.close()
  }
}

/** A tree that was removed while it was measured takes nothing any more. */
async function measured(tree: string): Promise<SnapshotUsage> {
  try {
    return await statUsage(tree)
  } catch (error) {
    if (isSysError(error, 'ENOENT')) return { bytes: 0, inodes: 0 }
    throw error
  }
}
