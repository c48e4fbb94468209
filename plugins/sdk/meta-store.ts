/**
 * The tree of snapshots as durable data: which keys and names exist, of what kind, on which parent, with which labels.
 * Every snapshotter needs the same rules and the same words for breaking them (containerd's); what a snapshot is on
 * disk is its own affair, known here only by a number that is never used twice.
 *
 * Calls are synchronous transactions of about 0.2 ms. One process owns the store.
 */
import { failedPrecondition, invalidArgument } from '#api/errors/errors.ts'
import { type Key, openStore, type Store } from '#api/store/store.ts'
import { now } from '#api/types/clock.ts'
import { validateLabels } from '#api/types/identifiers.ts'
import { applyLabels } from './label-update.ts'
import {
  activeRow,
  type CreateRequest,
  childKey,
  committedRow,
  hasChild,
  newRow,
  nodeOf,
  type Row,
  rowKey,
  rowOf,
  type SnapshotNode,
  sameParent,
} from './snapshot-rows.ts'
import type { CommitOptions, SnapshotInfo, SnapshotUsage } from './snapshotter.ts'

export type { CreateRequest, SnapshotNode } from './snapshot-rows.ts'

const layoutVersion = 1
/** Numbers are reserved in blocks: one extra write per block, and a crash skips the rest of one. */
const idBlock = 64
const nextIdKey: Key = ['next-id']
const versionKey: Key = ['version']

export class MetaStore {
  readonly #store: Store
  #freeIds: number[] = []
  #closed = false

  constructor(store: Store) {
    this.#store = store
  }

  /**
   * Checks a request and gives it a number that was never used. Nothing is recorded: the storage is made next, then
   * {@link record}ed. When the process dies in between the storage is an orphan (a number that {@link ids} lacks).
   */
  plan(request: CreateRequest): SnapshotNode {
    const id = this.#reserveId()
    return this.#store.read(tx => nodeOf(request.key, newRow(tx, id, request)))
  }

  /** Records what was planned; its times are those of now. ABORTED: its parent is another one than it was. */
  record(planned: SnapshotNode): SnapshotNode {
    const { name: key, kind, parent, labels } = planned.info
    if (kind === 'committed') throw invalidArgument(`snapshot ${key} cannot begin as committed`)
    return this.#store.write(tx => {
      const row = newRow(tx, planned.id, { kind, key, parent, labels })
      sameParent(planned, row)
      tx.put(rowKey(key), row)
      if (row.parentIds[0] !== undefined) tx.put(childKey(row.parentIds[0], key), 1)
      return nodeOf(key, row)
    })
  }

  /** For a snapshot that has no storage to be made. */
  create(request: CreateRequest): SnapshotNode {
    return this.record(this.plan(request))
  }

  /** NOT_FOUND when there is none. */
  get(name: string): SnapshotNode {
    return this.#store.read(tx => nodeOf(name, rowOf(tx, name)))
  }

  find(name: string): SnapshotNode | undefined {
    return this.#store.read(tx => {
      const row = tx.get<Row>(rowKey(name))
      return row && nodeOf(name, row)
    })
  }

  /** An active snapshot or a view. FAILED_PRECONDITION for a committed one. */
  mountable(key: string): SnapshotNode {
    const node = this.get(key)
    if (node.info.kind !== 'committed') return node
    throw failedPrecondition(`failed to get active mount: requested snapshot ${key} not active or view`)
  }

  /** An active snapshot. FAILED_PRECONDITION for any other. */
  active(key: string): SnapshotNode {
    return this.#store.read(tx => nodeOf(key, activeRow(tx, key)))
  }

  /** Throws what {@link commit} would; changes nothing. */
  checkCommit(name: string, key: string, options?: CommitOptions): SnapshotNode {
    return this.#store.read(tx => nodeOf(name, committedRow(tx, name, key, options)))
  }

  /** See `Snapshotter.commit`. `usage` is what the caller has measured just before. */
  commit(name: string, key: string, usage: SnapshotUsage, options?: CommitOptions): SnapshotNode {
    return this.#store.write(tx => {
      const row: Row = { ...committedRow(tx, name, key, options), usage }
      tx.delete(rowKey(key))
      tx.put(rowKey(name), row)
      if (row.parentIds[0] !== undefined) {
        tx.delete(childKey(row.parentIds[0], key))
        tx.put(childKey(row.parentIds[0], name), 1)
      }
      return nodeOf(name, row)
    })
  }

  /** Forgets a snapshot and answers it: its storage is the caller's to free. FAILED_PRECONDITION while it has children. */
  remove(name: string): SnapshotNode {
    return this.#store.write(tx => {
      const row = rowOf(tx, name)
      for (const _child of tx.list(['child', row.id], { limit: 1 })) throw hasChild(name)
      tx.delete(rowKey(name))
      if (row.parentIds[0] !== undefined) tx.delete(childKey(row.parentIds[0], name))
      return nodeOf(name, row)
    })
  }

  /** See `Snapshotter.update`. */
  update(info: Pick<SnapshotInfo, 'name' | 'labels'>, fieldPaths: readonly string[] = []): SnapshotInfo {
    return this.#store.write(tx => {
      const row = rowOf(tx, info.name)
      const labels = applyLabels(info.name, row.labels, info.labels, fieldPaths)
      validateLabels(labels)
      const updated: Row = { ...row, labels, updatedAt: now() }
      tx.put(rowKey(info.name), updated)
      return nodeOf(info.name, updated).info
    })
  }

  /** The usage recorded at commit; undefined for what was never committed. */
  committedUsage(name: string): SnapshotUsage | undefined {
    return this.#store.read(tx => rowOf(tx, name).usage)
  }

  /** Every snapshot as it is now. */
  all(): SnapshotNode[] {
    return this.#store.read(tx =>
      Array.from(tx.list<Row>(['snapshot']), ({ key, value }) => nodeOf(String(key[1]), value)),
    )
  }

  /** The numbers in use: storage with any other number belongs to nobody. */
  ids(): Set<number> {
    return new Set(this.all().map(node => node.id))
  }

  /** A second close is nothing. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#store.close()
  }

  #reserveId(): number {
    if (this.#freeIds.length === 0) {
      const first = this.#store.write(tx => {
        const next = tx.get<number>(nextIdKey) ?? 1
        tx.put(nextIdKey, next + idBlock)
        return next
      })
      this.#freeIds = Array.from({ length: idBlock }, (_, index) => first + index)
    }
    return this.#freeIds.shift() as number
  }
}

/** Opens (or begins) the tree in `folder`. FAILED_PRECONDITION for one written by a newer version. */
export function openMetaStore(folder: string): MetaStore {
  const store = openStore(folder)
  const found = store.read(tx => tx.get<number>(versionKey))
  if (found !== undefined && found > layoutVersion)
    throw failedPrecondition(
      `snapshot metadata in "${folder}" has layout ${found}, this version knows up to ${layoutVersion}`,
    )
  if (found === undefined) store.write(tx => tx.put(versionKey, layoutVersion))
  return new MetaStore(store)
}
