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
 * ['in', ns, 'sandboxes', id]                                     SandboxRecord
 * ['in', ns, 'mounts', name]                                      MountRecord
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

import { Pace } from './pace.ts'
import { noting, WriteWatch } from './write-watch.ts'

export type { Key, ReadTransaction, WriteTransaction } from '#api/store/store.ts'
export { now, timestampOf } from '#api/types/clock.ts'
export { Announcements } from './announcements.ts'
export { applyMapPath, withoutEmpty } from './labels.ts'
export { Pace } from './pace.ts'
export type * from './records.ts'
export { refusedFilter } from './refused-filter.ts'
export type { WriteWatch } from './write-watch.ts'

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
  | 'sandboxes'
  | 'mounts'

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
/** Entries read in one step of {@link Metadata.listInSteps}: about a millisecond. */
const entriesInStep = 128

export interface WriteOptions {
  /** Something may be garbage now. */
  readonly frees?: boolean
  /** Nobody is told: the write is the collection's own. */
  readonly quiet?: boolean
}

export class Metadata {
  readonly #store: Store
  readonly #listeners = new Set<MutationListener>()
  readonly #followers = new Set<{ note(stored: readonly Key[], deleted: readonly Key[]): void }>()
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

  /** As `Store.write`; then tells followers and listeners. */
  write<T>(body: (tx: WriteTransaction) => T, { frees = false, quiet = false }: WriteOptions = {}): T {
    const result = this.#followers.size === 0 ? this.#store.write(body) : this.#followedWrite(body)
    if (!quiet) for (const listener of this.#listeners) listener(frees)
    return result
  }

  #followedWrite<T>(body: (tx: WriteTransaction) => T): T {
    let keys: Key[] = []
    let deleted: Key[] = []
    const result = this.#store.write(tx => {
      keys = []
      deleted = []
      return body(noting(tx, keys, deleted))
    })
    for (const follower of this.#followers) follower.note(keys, deleted)
    return result
  }

  /** Watches what is stored from now on, until disposed. */
  watch(): WriteWatch {
    const watch = new WriteWatch(ended => this.#followers.delete(ended))
    this.#followers.add(watch)
    return watch
  }

  /** Tells the keys that each write has stored or deleted, when it is done, for good. */
  follow(note: (keys: readonly Key[]) => void): void {
    this.#followers.add({ note: (stored, deleted) => note([...stored, ...deleted]) })
  }

  /**
   * All entries below a prefix, a few at a time; others may write between two steps. An entry that was there from
   * beginning to end is answered once; of those that come or go meanwhile, {@link watch} tells.
   */
  async *listInSteps<T>(prefix: Key, pace = new Pace()): AsyncGenerator<{ key: Key; value: T }[]> {
    let start: Key | undefined
    for (;;) {
      const found = this.read(tx => [
        ...tx.list<T>(prefix, { limit: entriesInStep + 1, ...(start !== undefined && { start }) }),
      ])
      const isLast = found.length <= entriesInStep
      start = isLast ? undefined : found.pop()?.key
      yield found
      if (isLast) return
      await pace.step()
    }
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
