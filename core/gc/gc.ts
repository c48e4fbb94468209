/**
 * Garbage collection: what nothing refers to goes.
 *
 * Objects are nodes of a graph. *Roots* are kept for themselves; what a kept node refers to is kept.
 *
 * | node | a root when | refers to |
 * |---|---|---|
 * | image | not expired (`containerd.io/gc.expire`, RFC 3339) | its target; its labels |
 * | container | always | its snapshot; its labels |
 * | lease | not expired | its resources; with `containerd.io/gc.flat` not what those refer to |
 * | ingest | not expired, or a writer has it | the blob it shares |
 * | content | labelled `containerd.io/gc.root` | its labels |
 * | snapshot | labelled `containerd.io/gc.root`, or being committed | its parent; its labels |
 *
 * Labels that refer: `containerd.io/gc.ref.content[.x]` and `.../gc.ref.image[.x]` (value: digest, name),
 * `containerd.io/gc.ref.snapshot.<snapshotter>[/x]` (value: key). With `gc.bref.` instead of `gc.ref.`, and
 * `gc.bref.container`, the object that carries the label is kept by the one it names.
 *
 * A collection marks and deletes records in one step of the metadata store, so that no call sees half of it; files and
 * backends' snapshots follow, children first. A crash in between leaves what the next sweep finds.
 */

export type NodeType = 'content' | 'snapshot' | 'image' | 'container' | 'lease' | 'ingest'

/** An object. The key of a snapshot is `<snapshotter>/<key>`. */
export interface GcNode {
  readonly type: NodeType
  readonly ns: string
  readonly key: string
}

/** One step of an explanation: the node, and what keeps it: `image`, `target`, `label …`, `parent`, `lease`. */
export interface Reason extends GcNode {
  readonly why: string
}

/** What one collection did. */
export interface GcStats {
  readonly removed: readonly GcNode[]
  /** Milliseconds during which metadata writes waited. */
  readonly pauseMs: number
  /** Milliseconds in all, files and backends included. */
  readonly totalMs: number
}

/** What the next collection would remove, and the bytes of content files that would free. */
export interface GcPlan {
  readonly garbage: readonly GcNode[]
  readonly contentBytes: number
}

export { GarbageCollector, type GarbageCollectorOptions } from './collector.ts'
export { GcScheduler, type GcSchedulerOptions } from './scheduler.ts'
