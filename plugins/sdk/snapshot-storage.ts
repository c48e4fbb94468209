/**
 * What differs from one snapshotter to the next: how a snapshot is kept on disk. The rest (keys, kinds, parents,
 * labels, order of steps, crashes) is the same for all and lives in stored-snapshotter.ts.
 *
 * Storage is known by numbers that are never used twice. Crash safety comes from one order: storage is made under its
 * number, then recorded; a record is deleted, then its storage. So a recorded snapshot always has its storage, and
 * storage without a record is rubbish, whole or half made, that the next start sweeps.
 */
import type { SnapshotNode } from './meta-store.ts'
import type { Mount, SnapshotUsage } from './snapshotter.ts'

export type { SnapshotNode } from './meta-store.ts'
export type { StepHook } from './step-hook.ts'

export interface SnapshotStorage {
  /** Whether a tree that was made on nothing becomes right by having a parent (capability `rebase`). */
  readonly rebases: boolean

  /**
   * Makes the storage of a new active snapshot or view, showing what its parent holds. The parent does not go away
   * meanwhile. What a failure leaves is handed to {@link discard}. RESOURCE_EXHAUSTED: no space.
   */
  make(node: SnapshotNode): void | Promise<void>

  /** How an active snapshot or a view is mounted. */
  mounts(node: SnapshotNode): Mount[] | Promise<Mount[]>

  /** What a snapshot takes on disk now, without its parents. */
  usage(node: SnapshotNode): Promise<SnapshotUsage>

  /**
   * Makes an active snapshot immutable and durable, just before it is recorded as committed. {@link thaw} takes it back
   * when that fails; after a crash in between, at the next start.
   */
  freeze?(node: SnapshotNode): Promise<void>
  thaw?(node: SnapshotNode): Promise<void>

  /** Deletes behind the answer. What a crash leaves is found by {@link sweep}. */
  discard(id: number): void

  /** Hands all storage that is none of `owned` to deletion, and answers. `owned` is asked after storage was listed. */
  sweep(owned: () => ReadonlySet<number>): Promise<void>

  /** Resolves when all deletions asked for so far are done. */
  settled(): Promise<void>

  /** Waits for the deletion under way; those behind it are left to the sweep of the next start. */
  close(): Promise<void>
}
