/**
 * Garbage collection: what nothing refers to goes.
 *
 * Objects are nodes of a graph. *Roots* are kept for themselves; what a kept node refers to is kept.
 *
 * | node | a root when | refers to |
 * |---|---|---|
 * | image | not expired (`containerd.io/gc.expire`, RFC 3339) | its target; its labels |
 * | container | always | its snapshot; its labels |
 * | sandbox | always | its labels |
 * | lease | not expired | its resources and mounts; with `containerd.io/gc.flat` not what those refer to |
 * | ingest | not expired, or a writer has it | the blob it shares |
 * | content | labelled `containerd.io/gc.root` | its labels |
 * | snapshot | labelled `containerd.io/gc.root`, or being committed | its parent; its labels |
 * | mount | never | its labels |
 *
 * Labels that refer: `containerd.io/gc.ref.content[.x]`, `.../gc.ref.image[.x]` and `.../gc.ref.mount[.x]` (value: digest,
 * name), `containerd.io/gc.ref.snapshot.<snapshotter>[/x]` (value: key). With `gc.bref.` instead of `gc.ref.`, and
 * `gc.bref.container`, the object that carries the label is kept by the one it names. `gc.cond.snapshot.` refers on a
 * condition (conditions.ts).
 *
 * ## Beside everything else
 * Marking and sweeping take turns with the daemon's calls, a few milliseconds each. What is written meanwhile counts as
 * kept, with all it refers to (marking.ts), so no pull in flight loses what it has a lease on. Records go in small
 * transactions, each object before what it refers to; files and backends' snapshots follow, children first. A crash in
 * between leaves what the next sweep finds.
 */

export type NodeType = 'content' | 'snapshot' | 'image' | 'container' | 'lease' | 'ingest' | 'mount' | 'sandbox'

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
  /** Longest time without anybody else's turn while records were marked and removed, in milliseconds. */
  readonly pauseMs: number
  /** Milliseconds of the daemon's own work on records, which is what the scheduler bounds the share of. */
  readonly workMs: number
  /** Milliseconds in all, files and backends included. */
  readonly totalMs: number
}

export interface PlannedRemoval {
  readonly node: GcNode
  /** Bytes on disk that become free; absent when the snapshotter could not tell. */
  readonly sizeBytes?: number
  /** A file or a backend's snapshot without a record; its namespace is empty. */
  readonly leftover: boolean
}

/** What the next collection would remove, and the bytes that would free. */
export interface GcPlan {
  readonly removals: readonly PlannedRemoval[]
  readonly totalBytes: number
}

export { GarbageCollector, type GarbageCollectorOptions } from './collector.ts'
export { GcScheduler, type GcSchedulerOptions } from './scheduler.ts'
export { gcService } from './service.ts'
