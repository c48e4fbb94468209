/** Snapshot records and their children index, within a transaction. */
import { invalidArgument, notFound } from '#api/errors/errors.ts'
import {
  type Key,
  objectKey,
  type ReadTransaction,
  type SnapshotRecord,
  touchNamespace,
  type WriteTransaction,
} from '#core/metadata/metadata.ts'

/** The records of one snapshotter in one tenant namespace. */
export class SnapshotRecords {
  readonly #ns: string
  readonly #snapshotter: string

  constructor(ns: string, snapshotter: string) {
    this.#ns = ns
    this.#snapshotter = snapshotter
  }

  find(tx: ReadTransaction, key: string): SnapshotRecord | undefined {
    return tx.get<SnapshotRecord>(this.#key(key))
  }

  /** NOT_FOUND. */
  require(tx: ReadTransaction, key: string): SnapshotRecord {
    const record = this.find(tx, key)
    if (record === undefined) throw notFound(`snapshot ${key} does not exist`)
    return record
  }

  /** NOT_FOUND; INVALID_ARGUMENT when it is not committed, in the words of containerd's snapshotters. */
  requireParent(tx: ReadTransaction, name: string): SnapshotRecord {
    const record = this.find(tx, name)
    if (record === undefined) throw notFound(`parent snapshot ${name} does not exist`)
    if (record.kind !== 'committed')
      throw invalidArgument(`failed to create snapshot: parent "${record.backendKey}" is not committed snapshot`)
    return record
  }

  all(tx: ReadTransaction): { name: string; record: SnapshotRecord }[] {
    return Array.from(tx.list<SnapshotRecord>(this.#key()), ({ key, value }) => ({
      name: String(key.at(-1)),
      record: value,
    }))
  }

  put(tx: WriteTransaction, key: string, record: SnapshotRecord): void {
    touchNamespace(tx, this.#ns)
    tx.put(this.#key(key), record)
    const parent = record.parent === '' ? undefined : this.find(tx, record.parent)
    if (parent !== undefined) tx.put(this.#children(parent, key), true)
  }

  /** Children, if a collection takes them too, may be deleted before or after. */
  delete(tx: WriteTransaction, key: string, record: SnapshotRecord): void {
    tx.delete(this.#key(key))
    for (const { key: child } of tx.list(this.#children(record))) tx.delete(child)
    const parent = record.parent === '' ? undefined : this.find(tx, record.parent)
    if (parent !== undefined) tx.delete(this.#children(parent, key))
  }

  hasChildren(tx: ReadTransaction, record: SnapshotRecord): boolean {
    return !Iterator.from(tx.list(this.#children(record), { limit: 1 })).next().done
  }

  #key(...key: string[]): Key {
    return objectKey(this.#ns, 'snapshots', this.#snapshotter, ...key)
  }

  #children({ sequence }: SnapshotRecord, ...child: string[]): Key {
    return objectKey(this.#ns, 'snapshot-children', this.#snapshotter, sequence, ...child)
  }
}
