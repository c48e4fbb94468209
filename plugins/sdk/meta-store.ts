/**
 * The tree of snapshots as durable data: which keys and names exist, of what kind, on which parent, with which labels.
 * Every snapshotter needs the same rules and the same words for breaking them (containerd's); what a snapshot is on
 * disk is its own affair, known here only by a number that is never used twice.
 *
 * Calls are synchronous transactions of about 0.2 ms. One process owns the store.
 */
import { alreadyExists, failedPrecondition, invalidArgument, notFound } from '#api/errors/errors.ts'
import { type Key, openStore, type ReadTransaction, type Store, type WriteTransaction } from '#api/store/store.ts'
import { now } from '#api/types/clock.ts'
import { validateLabels } from '#api/types/identifiers.ts'
import { applyLabels } from './label-update.ts'
import type { CommitOptions, Labels, SnapshotInfo, SnapshotKind, SnapshotUsage } from './snapshotter.ts'

const layoutVersion = 1
/** Longest key or name; an LMDB key must hold it with room to spare. */
const maxNameBytes = 1024
/** Numbers are reserved in blocks: one extra write per block, and a crash skips the rest of one. */
const idBlock = 64

/** A snapshot with what its storage needs to know. */
export interface SnapshotNode {
  /** Number of its storage, from 1; never reused. */
  readonly id: number
  /** Numbers of its ancestors' storage, parent first. */
  readonly parentIds: readonly number[]
  readonly info: SnapshotInfo
}

export interface CreateRequest {
  kind: Exclude<SnapshotKind, 'committed'>
  key: string
  /** Empty: none. */
  parent: string
  labels?: Labels
}

/** As stored under its name. */
interface Row extends Omit<SnapshotInfo, 'name'> {
  readonly id: number
  readonly parentIds: readonly number[]
  readonly usage?: SnapshotUsage
}

const rowKey = (name: string): Key => ['snapshot', name]
const childKey = (parentId: number, child: string): Key => ['child', parentId, child]
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
   * Records a new active snapshot or view. `materialize` makes its storage, synchronously and quickly, inside the
   * transaction: when it throws nothing is recorded, and when the process dies after it the storage is an orphan
   * (a number that {@link ids} lacks).
   */
  create(request: CreateRequest, materialize: (node: SnapshotNode) => void = () => {}): SnapshotNode {
    const { kind, key, parent, labels = {} } = request
    checkName(key)
    validateLabels(labels)
    const id = this.#reserveId()
    return this.#store.write(tx => {
      const parentIds = parent === '' ? [] : committedParent(tx, parent)
      if (tx.get<Row>(rowKey(key))) throw alreadyExists(`failed to create snapshot: snapshot ${key}`)
      const createdAt = now()
      const row: Row = { id, parentIds, kind, parent, createdAt, updatedAt: createdAt, labels }
      const node = nodeOf(key, row)
      materialize(node)
      tx.put(rowKey(key), row)
      if (parentIds[0] !== undefined) tx.put(childKey(parentIds[0], key), 1)
      return node
    })
  }

  /** NOT_FOUND when there is none. */
  get(name: string): SnapshotNode {
    return this.#store.read(tx => nodeOf(name, rowOf(tx, name)))
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

  /** See `Snapshotter.commit`. `usage` is what the caller has measured just before. */
  commit(
    name: string,
    key: string,
    usage: SnapshotUsage,
    { labels = {}, parent = '' }: CommitOptions = {},
  ): SnapshotNode {
    checkName(name)
    validateLabels(labels)
    return this.#store.write(tx => {
      if (tx.get<Row>(rowKey(name))) throw alreadyExists(`failed to commit snapshot: committed snapshot ${name}`)
      const active = activeRow(tx, key)
      const family = parent === '' ? active : rebased(tx, key, active, parent)
      const createdAt = now()
      const { id } = active
      const { parentIds } = family
      const row: Row = {
        id,
        parentIds,
        kind: 'committed',
        parent: family.parent,
        createdAt,
        updatedAt: createdAt,
        labels,
        usage,
      }
      tx.delete(rowKey(key))
      tx.put(rowKey(name), row)
      if (parentIds[0] !== undefined) {
        tx.delete(childKey(parentIds[0], key))
        tx.put(childKey(parentIds[0], name), 1)
      }
      return nodeOf(name, row)
    })
  }

  /** Forgets a snapshot and answers it: its storage is the caller's to free. FAILED_PRECONDITION while it has children. */
  remove(name: string): SnapshotNode {
    return this.#store.write(tx => {
      const row = rowOf(tx, name)
      for (const _child of tx.list(['child', row.id], { limit: 1 }))
        throw failedPrecondition(`failed to remove snapshot ${name}: cannot remove snapshot with child`)
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

function checkName(name: string): void {
  if (name === '') throw invalidArgument('snapshot key must not be empty')
  if (name.includes('\0')) throw invalidArgument(`snapshot key ${JSON.stringify(name)} has a NUL character`)
  if (Buffer.byteLength(name) > maxNameBytes)
    throw invalidArgument(`snapshot key "${name.slice(0, 40)}…" is longer than ${maxNameBytes} bytes`)
}

function nodeOf(name: string, { id, parentIds, usage: _usage, ...info }: Row): SnapshotNode {
  return { id, parentIds, info: { name, ...info } }
}

function rowOf(tx: ReadTransaction, name: string): Row {
  const row = tx.get<Row>(rowKey(name))
  if (row === undefined) throw notFound(`snapshot ${name} does not exist`)
  return row
}

function activeRow(tx: ReadTransaction, key: string): Row {
  const row = tx.get<Row>(rowKey(key))
  if (row === undefined) throw notFound(`failed to commit snapshot: failed to get active snapshot "${key}"`)
  if (row.kind !== 'active') throw failedPrecondition(`failed to commit snapshot: snapshot "${key}" is not active`)
  return row
}

/** Storage numbers of a parent and its ancestors, checked to be committed. */
function committedParent(tx: ReadTransaction, parent: string): number[] {
  const row = tx.get<Row>(rowKey(parent))
  if (row === undefined) throw notFound(`failed to create snapshot: parent snapshot ${parent} does not exist`)
  if (row.kind !== 'committed')
    throw invalidArgument(`failed to create snapshot: parent "${parent}" is not committed snapshot`)
  return [row.id, ...row.parentIds]
}

function rebased(tx: WriteTransaction, key: string, active: Row, parent: string): Pick<Row, 'parent' | 'parentIds'> {
  if (active.parent === parent) return active
  if (active.parent !== '')
    throw invalidArgument(`failed to commit snapshot: cannot change parent of active snapshot "${key}" on commit`)
  const row = tx.get<Row>(rowKey(parent))
  if (row === undefined) throw notFound(`failed to commit snapshot: missing parent "${parent}" of snapshot "${key}"`)
  if (row.kind !== 'committed')
    throw failedPrecondition(`failed to commit snapshot: parent "${parent}" is not committed`)
  return { parent, parentIds: [row.id, ...row.parentIds] }
}
