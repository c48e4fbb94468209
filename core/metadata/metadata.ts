/**
 * Metadata: every record of the core in one store, so that a change across nouns (a blob, the ingest it was, the
 * lease that keeps it) is one transaction.
 *
 * ## Layout
 * ```
 * ['schema']                                                      1
 * ['sequence']                                                    numbers below this may be in use
 * ['server']                                                      identity of this root: a UUID
 * ['namespaces', ns]                                              NamespaceRecord
 * ['in', ns, 'blobs', digest]                                     BlobRecord
 * ['in', ns, 'ingests', ref]                                      IngestRecord
 * ['in', ns, 'images', name]                                      ImageRecord
 * ['in', ns, 'containers', id]                                    ContainerRecord
 * ['in', ns, 'leases', id]                                        LeaseRecord
 * ['in', ns, 'lease-resources', lease, type, id]                  true
 * ['in', ns, 'snapshots', snapshotter, key or name]               SnapshotRecord
 * ['in', ns, 'snapshot-children', snapshotter, parent's sequence, child]   true
 * ['in', ns, 'commits', snapshotter, key]                         CommitIntent
 * ```
 * Other rooms (tasks, networks) keep theirs below a first element of their own.
 *
 * A *namespace* exists from the first write in it on. Records hold no derived state but the children index, which
 * is written in the same transaction as the child.
 *
 * Writes are synchronous and short; nothing waits for a process or a file within one. Side effects outside (files,
 * backends) come before the record when the record makes them visible, and after it when it takes them away: a crash
 * leaves garbage, which the sweep finds, and never a record without its object.
 */
import { failedPrecondition, invalidArgument } from '#api/errors/errors.ts'
import type { Key, ReadTransaction, Store, WriteTransaction } from '#api/store/store.ts'

export type { Key, ReadTransaction, WriteTransaction } from '#api/store/store.ts'
export { now, timestampOf } from '#api/types/clock.ts'
export { Announcements } from './announcements.ts'
export { applyMapPath, withoutEmpty } from './labels.ts'
export type * from './records.ts'
export { refusedFilter } from './refused-filter.ts'

export type ObjectKind =
  | 'blobs'
  | 'ingests'
  | 'images'
  | 'containers'
  | 'leases'
  | 'lease-resources'
  | 'snapshots'
  | 'snapshot-children'
  | 'commits'

/** Where an object of a tenant namespace is stored, or the prefix of many. */
export function objectKey(ns: string, kind: ObjectKind, ...rest: (string | number)[]): Key {
  return ['in', ns, kind, ...rest]
}

/** Where a tenant namespace's own record is stored; without a name the prefix of all. */
export function namespaceKey(...ns: [] | [string]): Key {
  return ['namespaces', ...ns]
}

/** Called within each write that stores an object: its tenant namespace springs up. */
export function touchNamespace(tx: WriteTransaction, ns: string): void {
  if (tx.get(namespaceKey(ns)) === undefined) tx.put(namespaceKey(ns), { labels: {} })
}

/** Names of all tenant namespaces. */
export function namespaceNames(tx: ReadTransaction): string[] {
  return Array.from(tx.list(namespaceKey()), ({ key }) => String(key.at(-1)))
}

const maxNameBytes = 1024

/** Checks a name that becomes part of a key (LMDB's keys end at 1978 bytes). INVALID_ARGUMENT. */
export function validateName(value: string, field: string): void {
  if (value === '') throw invalidArgument(`${field} must not be empty`)
  if (Buffer.byteLength(value) > maxNameBytes)
    throw invalidArgument(`${field} "${value.slice(0, 64)}…" is longer than ${maxNameBytes} bytes`)
}

/** Told after each write; `frees` when something may have become garbage. */
export type MutationListener = (frees: boolean) => void

const schema = 1
const sequencesAtOnce = 64

export class Metadata {
  readonly #store: Store
  readonly #listeners = new Set<MutationListener>()
  #nextSequence = 0
  #sequenceLimit = 0

  /** FAILED_PRECONDITION when the store was written by a newer Gantry. */
  constructor(store: Store) {
    this.#store = store
    const found = store.read(tx => tx.get<number>(['schema']))
    if (found === undefined) store.write(tx => tx.put(['schema'], schema))
    else if (found !== schema)
      throw failedPrecondition(`metadata has schema ${found}, this Gantry knows ${schema}: start the one that wrote it`)
  }

  read<T>(body: (tx: ReadTransaction) => T): T {
    return this.#store.read(body)
  }

  /** As `Store.write`; then tells the listeners. `frees`: something may be garbage now. */
  write<T>(body: (tx: WriteTransaction) => T, { frees = false } = {}): T {
    const result = this.#store.write(body)
    for (const listener of this.#listeners) listener(frees)
    return result
  }

  onMutation(listener: MutationListener): void {
    this.#listeners.add(listener)
  }

  /** A number never given before in this store, crashes included; reserved in blocks, so most calls write nothing. */
  nextSequence(): number {
    if (this.#nextSequence >= this.#sequenceLimit) this.#reserve()
    return this.#nextSequence++
  }

  #reserve(): void {
    this.#store.write(tx => {
      this.#nextSequence = tx.get<number>(['sequence']) ?? 1
      this.#sequenceLimit = this.#nextSequence + sequencesAtOnce
      tx.put(['sequence'], this.#sequenceLimit)
    })
  }
}
