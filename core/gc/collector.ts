import { SnapshotRemove } from '#api/gen/containerd/events/snapshot.ts'
import { ImageDelete } from '#api/gen/containerd/services/images/v1/image_events.ts'
import type { Logger } from '#api/log/log.ts'
import { type EventPublisher, eventAny } from '#core/events/events.ts'
import { type Metadata, Pace } from '#core/metadata/metadata.ts'
import type { GcNode, GcPlan, GcStats, Reason } from './gc.ts'
import { chainTo, isGarbage, type Vertex } from './graph.ts'
import { Marking } from './marking.ts'
import { makePlan, type SizedContent, type SizedSnapshots } from './plan.ts'
import { removalOrder } from './removal-order.ts'
import { removeRecord, splitSnapshot } from './remove-record.ts'

export interface GarbageCollectorOptions {
  readonly metadata: Metadata
  readonly events: EventPublisher
  readonly logger: Logger
  /** The content store's files. */
  readonly content: SizedContent & {
    openIngests(): readonly { ns: string; ref: string }[]
    markDirty(): void
    sweep(): Promise<void>
  }
  /** The snapshotters' backends. */
  readonly snapshots: SizedSnapshots & { markDirty(snapshotters: Iterable<string>): void; sweep(): Promise<void> }
  /** Milliseconds of work between two chances for others; 0: a chance after every step. Default 4. */
  readonly turnMs?: number
  /** Mounts the daemon holds; without them there are none. */
  readonly mounts?: { underWay(): readonly { ns: string; name: string }[]; sweep(): Promise<void> }
}

/** How long marking and removing may keep others waiting at a time. */
const defaultTurnMs = 4

/** Records removed in one transaction: a few milliseconds at most. */
const removedAtOnce = 16

/** Marks and sweeps; see gc.ts. One collection at a time: the scheduler's care. */
export class GarbageCollector {
  readonly #options: GarbageCollectorOptions

  constructor(options: GarbageCollectorOptions) {
    this.#options = options
  }

  /** One whole collection. Fails when files or a backend could not be swept; the records are gone then all the same. */
  async collect(): Promise<GcStats> {
    const started = performance.now()
    const pace = this.#pace()
    const removed = await this.#collectRecords(pace)
    const [pauseMs, workMs] = [pace.longestMs, pace.spentMs]
    if (removed.length > 0) this.#options.logger.debug({ removed: removed.length, pauseMs }, 'collected garbage')
    await this.#sweep()
    return { removed, pauseMs, workMs, totalMs: performance.now() - started }
  }

  /** What {@link collect} would remove now, and what the removal would free. */
  async plan(): Promise<GcPlan> {
    const pace = this.#pace()
    using marking = await this.#mark(pace)
    const { content, snapshots } = this.#options
    return await makePlan(marking.graph, { content, snapshots }, pace)
  }

  /** For each object that fits, the chain of references that keeps it; empty when the next collection removes it. */
  async explain(fits: (node: GcNode) => boolean): Promise<{ node: GcNode; chain: Reason[] }[]> {
    using marking = await this.#mark(this.#pace())
    return Array.from(marking.graph.vertices())
      .filter(vertex => isRecorded(vertex) && fits(vertex.node))
      .map(vertex => ({ node: vertex.node, chain: chainTo(vertex) }))
  }

  async #collectRecords(pace: Pace): Promise<GcNode[]> {
    using marking = await this.#mark(pace)
    const garbage = await removalOrder(marking.graph, pace)
    const removed: GcNode[] = []
    for (let at = 0; at < garbage.length; at += removedAtOnce) {
      marking.catchUp()
      const batch = this.#remove(garbage.slice(at, at + removedAtOnce))
      this.#announce(batch)
      removed.push(...batch)
      await pace.step()
    }
    this.#markDirty(removed)
    return removed
  }

  #remove(candidates: readonly Vertex[]): GcNode[] {
    const going = candidates.filter(isGarbage).map(({ node }) => node)
    if (going.length === 0) return []
    return this.#options.metadata.write(tx => going.filter(node => removeRecord(tx, node)), { quiet: true })
  }

  async #sweep(): Promise<void> {
    const { content, snapshots, mounts } = this.#options
    const outcomes = await Promise.allSettled([content.sweep(), snapshots.sweep(), mounts?.sweep()])
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
  }

  #pace(): Pace {
    return new Pace(this.#options.turnMs ?? defaultTurnMs)
  }

  #mark(pace: Pace): Promise<Marking> {
    const { metadata, content, mounts } = this.#options
    const written = content
      .openIngests()
      .map(({ ns, ref }) => ({ type: 'ingest' as const, ns, key: ref, why: 'being written' }))
    const mounted = (mounts?.underWay() ?? []).map(({ ns, name }) => {
      return { type: 'mount' as const, ns, key: name, why: 'being activated' }
    })
    return Marking.of({ metadata, pace, extraRoots: [...written, ...mounted] })
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
    const { content, snapshots } = this.#options
    if (removed.some(({ type }) => type === 'content' || type === 'ingest')) content.markDirty()
    snapshots.markDirty(removed.filter(({ type }) => type === 'snapshot').map(({ key }) => splitSnapshot(key)[0]))
  }
}

/** Not merely referred to. */
function isRecorded({ collectable, node: { type } }: Vertex): boolean {
  return collectable || type === 'container' || type === 'sandbox'
}
