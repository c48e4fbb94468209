import { SnapshotRemove } from '#api/gen/containerd/events/snapshot.ts'
import { ImageDelete } from '#api/gen/containerd/services/images/v1/image_events.ts'
import type { Logger } from '#api/log/log.ts'
import { type EventPublisher, eventAny } from '#core/events/events.ts'
import {
  type BlobRecord,
  type Metadata,
  namespaceNames,
  objectKey,
  type ReadTransaction,
  type WriteTransaction,
} from '#core/metadata/metadata.ts'
import { SnapshotRecords } from '#core/snapshots/snapshots.ts'
import type { GcNode, GcPlan, GcStats, Reason } from './gc.ts'
import { type Edge, Marked } from './mark.ts'
import { Scan } from './scan.ts'

export interface GarbageCollectorOptions {
  readonly metadata: Metadata
  readonly events: EventPublisher
  readonly logger: Logger
  /** The content store's files. */
  readonly content: {
    openIngests(): readonly { ns: string; ref: string }[]
    markDirty(): void
    sweep(): Promise<void>
  }
  /** The snapshotters' backends. */
  readonly snapshots: { markDirty(snapshotters: Iterable<string>): void; sweep(): Promise<void> }
  /** Kept for reasons outside the metadata store, such as sandboxes or mounts in use. */
  readonly roots?: () => Iterable<Reason>
}

/** Marks and sweeps; see gc.ts. One collection at a time: the scheduler's care. */
export class GarbageCollector {
  readonly #options: GarbageCollectorOptions

  constructor(options: GarbageCollectorOptions) {
    this.#options = options
  }

  /** One whole collection. Fails when files or a backend could not be swept; the records are gone then all the same. */
  async collect(): Promise<GcStats> {
    const started = performance.now()
    const removed = this.#collectRecords()
    const pauseMs = performance.now() - started
    this.#announce(removed)
    this.#markDirty(removed)
    const outcomes = await Promise.allSettled([this.#options.content.sweep(), this.#options.snapshots.sweep()])
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
    return { removed, pauseMs, totalMs: performance.now() - started }
  }

  /** What {@link collect} would remove now. */
  plan(): GcPlan {
    return this.#options.metadata.read(tx => {
      const { garbage } = this.#mark(tx)
      return { garbage, contentBytes: freedContentBytes(tx, garbage) }
    })
  }

  /** The chain of references from a root that keeps an object; empty when the next collection removes it. */
  explain(node: GcNode): Reason[] {
    return this.#options.metadata.read(tx => this.#mark(tx).marked.explain(node))
  }

  /** Nothing is awaited between reading and writing, and only this process writes: one step for everybody else. */
  #collectRecords(): GcNode[] {
    const { metadata } = this.#options
    const { garbage } = metadata.read(tx => this.#mark(tx))
    if (garbage.length > 0)
      metadata.write(tx => {
        for (const node of garbage) removeRecord(tx, node)
      })
    return garbage
  }

  #mark(tx: ReadTransaction): { marked: Marked; garbage: GcNode[] } {
    const scan = new Scan(tx, { nowMs: Date.now(), extraRoots: this.#extraRoots() })
    const marked = new Marked(scan)
    return { marked, garbage: scan.collectable.filter(node => !marked.has(node)) }
  }

  #extraRoots(): Edge[] {
    const { content, roots = () => [] } = this.#options
    const writers = content.openIngests().map(({ ns, ref }): Edge => {
      return { node: { type: 'ingest', ns, key: ref }, why: 'being written' }
    })
    return [...writers, ...Array.from(roots(), ({ why, ...node }): Edge => ({ node, why }))]
  }

  #announce(removed: readonly GcNode[]): void {
    const { events } = this.#options
    for (const { type, ns, key } of removed) {
      if (type === 'image') {
        const event = eventAny('containerd.services.images.v1.ImageDelete', ImageDelete, { name: key })
        events.publish(ns, '/images/delete', event)
      }
      if (type !== 'snapshot') continue
      const [snapshotter, name] = splitSnapshot(key)
      const event = eventAny('containerd.events.SnapshotRemove', SnapshotRemove, { key: name, snapshotter })
      events.publish(ns, '/snapshot/remove', event)
    }
  }

  #markDirty(removed: readonly GcNode[]): void {
    const { content, snapshots, logger } = this.#options
    if (removed.some(({ type }) => type === 'content' || type === 'ingest')) content.markDirty()
    snapshots.markDirty(removed.filter(({ type }) => type === 'snapshot').map(({ key }) => splitSnapshot(key)[0]))
    if (removed.length > 0) logger.debug({ removed: removed.length }, 'collected garbage')
  }
}

function removeRecord(tx: WriteTransaction, { type, ns, key }: GcNode): void {
  if (type === 'content') tx.delete(objectKey(ns, 'blobs', key))
  else if (type === 'image') tx.delete(objectKey(ns, 'images', key))
  else if (type === 'ingest') tx.delete(objectKey(ns, 'ingests', key))
  else if (type === 'snapshot') removeSnapshot(tx, ns, key)
  else if (type === 'lease') {
    tx.delete(objectKey(ns, 'leases', key))
    for (const { key: resource } of tx.list(objectKey(ns, 'lease-resources', key))) tx.delete(resource)
  }
}

function removeSnapshot(tx: WriteTransaction, ns: string, node: string): void {
  const [snapshotter, key] = splitSnapshot(node)
  const records = new SnapshotRecords(ns, snapshotter)
  const record = records.find(tx, key)
  if (record !== undefined) records.delete(tx, key, record)
}

/** Keys may contain slashes, names of snapshotters do not. */
function splitSnapshot(node: string): [snapshotter: string, key: string] {
  const slash = node.indexOf('/')
  return [node.slice(0, slash), node.slice(slash + 1)]
}

/** A file goes when no namespace has its record any more. */
function freedContentBytes(tx: ReadTransaction, garbage: readonly GcNode[]): number {
  const going = new Set(garbage.filter(({ type }) => type === 'content').map(({ ns, key }) => `${ns}\0${key}`))
  const freed = new Map<string, number>()
  const kept = new Set<string>()
  for (const ns of namespaceNames(tx))
    for (const { key, value } of tx.list<BlobRecord>(objectKey(ns, 'blobs'))) {
      const digest = String(key.at(-1))
      if (going.has(`${ns}\0${digest}`)) freed.set(digest, value.sizeBytes)
      else kept.add(digest)
    }
  return [...freed].reduce((sum, [digest, bytes]) => sum + (kept.has(digest) ? 0 : bytes), 0)
}
