/** The verbs of a snapshotter over its records and its storage; see snapshot-storage.ts for the order that crashes respect. */
import { isGantryError, notImplemented, resourceExhausted } from '#api/errors/errors.ts'
import { step } from '#api/trace/spans.ts'
import type { CreateRequest, MetaStore, SnapshotNode } from './meta-store.ts'
import { selectSnapshots } from './select-snapshots.ts'
import { hasChild } from './snapshot-rows.ts'
import type { SnapshotStorage, StepHook } from './snapshot-storage.ts'
import type { CommitOptions, Mount, PrepareOptions, SnapshotInfo, Snapshotter, SnapshotUsage } from './snapshotter.ts'

export class StoredSnapshotter implements Snapshotter {
  readonly #meta: MetaStore
  readonly #storage: SnapshotStorage
  readonly #step: StepHook
  /** Storage being made, not recorded yet: its number, and that of its parent's storage. */
  readonly #making = new Map<number, number | undefined>()

  private constructor(meta: MetaStore, storage: SnapshotStorage, step: StepHook) {
    this.#meta = meta
    this.#storage = storage
    this.#step = step
  }

  /** Takes both over, and finishes or undoes what a crash has left half done. */
  static async open(meta: MetaStore, storage: SnapshotStorage, step: StepHook): Promise<StoredSnapshotter> {
    if (storage.thaw) for (const node of meta.all()) if (node.info.kind === 'active') await storage.thaw(node)
    await storage.directory.sweep(() => meta.ids())
    return new StoredSnapshotter(meta, storage, step)
  }

  async prepare(key: string, parent: string, { labels = {} }: PrepareOptions = {}): Promise<Mount[]> {
    return this.#create({ kind: 'active', key, parent, labels })
  }

  async view(key: string, parent: string, { labels = {} }: PrepareOptions = {}): Promise<Mount[]> {
    return this.#create({ kind: 'view', key, parent, labels })
  }

  async #create(request: CreateRequest): Promise<Mount[]> {
    const planned = this.#meta.plan(request)
    this.#making.set(planned.id, planned.parentIds[0])
    try {
      this.#step('planned')
      await step('make the snapshot', () => this.#storage.make(planned))
      this.#step('made')
      this.#meta.record(planned)
    } catch (error) {
      this.#storage.directory.discard(planned.id)
      throw isNoSpace(error) ? resourceExhausted(`no space for snapshot ${request.key}`, { cause: error }) : error
    } finally {
      this.#making.delete(planned.id)
    }
    this.#step('recorded')
    return this.#storage.mounts(planned)
  }

  async mounts(key: string): Promise<Mount[]> {
    return this.#storage.mounts(this.#meta.mountable(key))
  }

  /** Measures before it records: that may take long, and a record holds all others up. */
  async commit(name: string, key: string, options: CommitOptions = {}): Promise<void> {
    this.#meta.checkCommit(name, key, options)
    const active = this.#meta.active(key)
    if (options.parent && options.parent !== active.info.parent && !this.#storage.rebases)
      throw notImplemented(
        `snapshot ${key} was prepared on nothing and cannot be put on "${options.parent}": this snapshotter keeps whole trees; prepare it on that parent`,
      )
    try {
      this.#step('checked')
      await this.#storage.freeze?.(active)
      this.#step('frozen')
      const usage = await this.#storage.usage(active)
      this.#step('measured')
      this.#meta.commit(name, key, usage, options)
    } catch (error) {
      await this.#thawIfActive(key, active)
      throw error
    }
    this.#step('recorded')
  }

  /** A commit that lost against another one of the same key must not unfreeze what that one committed. */
  async #thawIfActive(key: string, active: SnapshotNode): Promise<void> {
    if (this.#storage.thaw && this.#meta.find(key)?.id === active.id) await this.#storage.thaw(active)
  }

  async remove(key: string): Promise<void> {
    const { id } = this.#meta.get(key)
    if ([...this.#making.values()].includes(id)) throw hasChild(key)
    this.#meta.remove(key)
    this.#step('forgotten')
    this.#storage.directory.discard(id)
    this.#step('discarded')
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

  /** A view holds nothing of its own; its empty tree is ours, not its user's. */
  async usage(key: string): Promise<SnapshotUsage> {
    const recorded = this.#meta.committedUsage(key)
    if (recorded) return recorded
    const node = this.#meta.get(key)
    return node.info.kind === 'view' ? { bytes: 0, inodes: 0 } : await this.#storage.usage(node)
  }

  async cleanup(): Promise<void> {
    await this.#storage.directory.sweep(() => new Set([...this.#meta.ids(), ...this.#making.keys()]))
    await this.#storage.directory.settled()
  }

  async close(): Promise<void> {
    await this.#storage.directory.close()
    await this.#meta.close()
  }
}

function isNoSpace(error: unknown): boolean {
  if (!(error instanceof Error) || isGantryError(error)) return false
  return 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT')
}
