import { type Key, objectKey, type WriteTransaction } from '#core/metadata/metadata.ts'
import { SnapshotRecords } from '#core/snapshots/snapshots.ts'
import type { GcNode } from './gc.ts'

const kinds = { content: 'blobs', image: 'images', ingest: 'ingests', lease: 'leases', mount: 'mounts' } as const

/** Removes an object's record and what is kept beside it; false when it is gone already. */
export function removeRecord(tx: WriteTransaction, { type, ns, key }: GcNode): boolean {
  if (type === 'snapshot') return removeSnapshot(tx, ns, key)
  if (type === 'container' || type === 'sandbox') return false
  if (!tx.delete(objectKey(ns, kinds[type], key))) return false
  if (type === 'lease') deleteAll(tx, objectKey(ns, 'lease-resources', key))
  return true
}

function removeSnapshot(tx: WriteTransaction, ns: string, node: string): boolean {
  const [snapshotter, key] = splitSnapshot(node)
  const records = new SnapshotRecords(ns, snapshotter)
  const record = records.find(tx, key)
  if (record !== undefined) records.delete(tx, key, record)
  return record !== undefined
}

function deleteAll(tx: WriteTransaction, prefix: Key): void {
  for (const { key } of tx.list(prefix)) tx.delete(key)
}

/** Keys may contain slashes, names of snapshotters do not. */
export function splitSnapshot(node: string): [snapshotter: string, key: string] {
  const slash = node.indexOf('/')
  return [node.slice(0, slash), node.slice(slash + 1)]
}
