/**
 * What differs from one snapshotter to the next: how a snapshot is kept on disk. The rest (keys, kinds, parents,
 * labels, order of steps, crashes) is the same for all and lives in stored-snapshotter.ts.
 *
 * Storage is known by numbers that are never used twice. Crash safety comes from one order: storage is made under its
 * number, then recorded; a record is deleted, then its storage. So a recorded snapshot always has its storage, and
 * storage without a record is rubbish, whole or half made, that the next start sweeps.
 */
import type { SnapshotNode } from './meta-store.ts'
import type { SnapshotDirectory } from './snapshot-directory.ts'
import type { Mount, SnapshotUsage } from './snapshotter.ts'

export type { SnapshotNode } from './meta-store.ts'
export type { StepHook } from './step-hook.ts'

export interface SnapshotStorage {
  /** Where it is, by number; what belongs to nobody is deleted there. */
  readonly directory: SnapshotDirectory

  /** Whether a tree that was made on nothing becomes right by having a parent (capability `rebase`). */
  readonly rebases: boolean

  /**
   * Makes the storage of a new active snapshot or view, showing what its parent holds. The parent does not go away
   * meanwhile. What a failure leaves is handed to `directory.discard`. RESOURCE_EXHAUSTED: no space.
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
}
