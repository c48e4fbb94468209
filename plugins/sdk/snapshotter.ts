/**
 * What a snapshotter is, for its author.
 *
 * A snapshotter keeps file system trees that build on one another, as layers of an image do. It hands out **mounts as
 * data** and performs none: whoever needs the tree mounts it, in whatever mount namespace, and takes it away again.
 *
 * A snapshot is one of three kinds.
 *
 * - **active**: writable, known by its *key*. Made by `prepare`, on top of a committed parent or of nothing. Its changes
 *   are its own until it ends: `commit` freezes it, `remove` drops it.
 * - **view**: the same, read-only. It cannot be committed.
 * - **committed**: immutable, known by its *name*, and the only kind that can be a parent.
 *
 * Keys and names share one space: nothing active may have the name of something committed. Whatever they look like
 * (`default/12/sha256:…`, an absolute path), they are opaque: never use one as a path.
 *
 * Unpacking two layers of an image, and running a container on them:
 *
 *     mounts = await s.prepare('extract-1', '')            // an empty tree
 *     …mount, unpack layer 1, unmount…
 *     await s.commit('chain-1', 'extract-1')               // 'extract-1' is free again
 *     mounts = await s.prepare('extract-2', 'chain-1')     // shows layer 1, takes changes
 *     …mount, unpack layer 2, unmount…
 *     await s.commit('chain-2', 'extract-2')
 *     mounts = await s.prepare('my-container', 'chain-2')  // the container's writable root
 *     …it runs, it ends, unmount…
 *     await s.remove('my-container')
 *     await s.remove('chain-2'); await s.remove('chain-1') // children first
 *
 * **Crashes.** A verb that answered has happened for good; a verb that was cut short by SIGKILL has happened wholly or
 * not at all. What it left on disk is found and removed by the next start or by `cleanup`. Storage names are never
 * reused, so something still mounted is never mistaken for something new.
 *
 * **Calls.** Verbs are short and run to their end even if the caller goes away: a repeated call then meets
 * ALREADY_EXISTS or NOT_FOUND and can tell what happened by `stat`. The core calls `commit` while others wait, so what
 * takes long (freeing space) belongs behind the answer.
 *
 * **Labels** starting with `containerd.io/snapshot/`, and `containerd.io/snapshot.ref`, are the ones that reach a
 * snapshotter. One that can supply a layer by itself (from a remote store) answers a `prepare` that carries
 * `containerd.io/snapshot.ref=<name>` by committing the layer under a name of its choice, with that label and parent,
 * and throwing ALREADY_EXISTS; the core finds it by `list`.
 */
import type { Timestamp } from '#api/gen/google/protobuf/timestamp.ts'
import type { Mount } from '#api/types/mount.ts'

export type { Mount } from '#api/types/mount.ts'

/** Key/value pairs; key and value together at most 4096 bytes. */
export type Labels = Readonly<Record<string, string>>

export type SnapshotKind = 'active' | 'view' | 'committed'

/** A snapshot's description. */
export interface SnapshotInfo {
  /** Key of an active snapshot or view, name of a committed one. */
  readonly name: string
  /** Name of the parent; empty for none. */
  readonly parent: string
  readonly kind: SnapshotKind
  /** When it was prepared; for a committed one, when it was committed. */
  readonly createdAt: Timestamp
  /** When its labels last changed; at birth the same as `createdAt`. */
  readonly updatedAt: Timestamp
  readonly labels: Labels
}

/** What a snapshot takes on disk, parents not counted. */
export interface SnapshotUsage {
  /** Allocated bytes, as du(1) counts. */
  readonly bytes: number
  readonly inodes: number
}

export interface PrepareOptions {
  labels?: Labels
}

export interface CommitOptions {
  /** Labels of the committed snapshot; the active one's are not kept. */
  labels?: Labels
  /** Parent for a snapshot that was prepared without one, for layers unpacked side by side. */
  parent?: string
}

/** The ten verbs. Every one throws NOT_FOUND for a key, name or parent that is not there. */
export interface Snapshotter {
  /**
   * Makes an active snapshot on top of a committed one (`parent` empty: an empty tree whose root is 0755) and answers
   * its mounts, at least one, which stay valid until it is committed or removed.
   *
   * ALREADY_EXISTS: the key is taken, by a snapshot of any kind. INVALID_ARGUMENT: the parent is not committed, or the
   * key is empty. RESOURCE_EXHAUSTED: no space.
   */
  prepare(key: string, parent: string, options?: PrepareOptions): Promise<Mount[]>

  /** Like `prepare`, read-only: a write into the mounted tree fails. Same errors. */
  view(key: string, parent: string, options?: PrepareOptions): Promise<Mount[]>

  /** The mounts of an active snapshot or a view again. FAILED_PRECONDITION for a committed one. */
  mounts(key: string): Promise<Mount[]>

  /**
   * Freezes the active snapshot `key` under `name`. Its tree is not mounted for writing any more: the caller saw to it.
   * Afterwards the key is free.
   *
   * ALREADY_EXISTS: the name is taken. FAILED_PRECONDITION: it is not active, or the new parent is not committed.
   * INVALID_ARGUMENT: `parent` given for a snapshot that has another one. NOT_IMPLEMENTED: `parent` given for one that
   * has none, by a snapshotter without the capability `rebase`.
   */
  commit(name: string, key: string, options?: CommitOptions): Promise<void>

  /**
   * Forgets a snapshot of any kind; its space may be freed behind the answer. The key or name is free at once.
   * FAILED_PRECONDITION, with "remove" in the message, while another snapshot builds on it.
   */
  remove(key: string): Promise<void>

  /** Describes a snapshot. */
  stat(key: string): Promise<SnapshotInfo>

  /**
   * Changes the labels of `info.name` and answers the whole description. `fieldPaths`: `labels` replaces all,
   * `labels.<key>` sets one (or deletes it, when `info.labels` lacks it); none: all labels are replaced and whatever
   * else differs is ignored. INVALID_ARGUMENT: any other path.
   */
  update(info: Pick<SnapshotInfo, 'name' | 'labels'>, fieldPaths?: readonly string[]): Promise<SnapshotInfo>

  /**
   * Describes, in no order, the snapshots that match one of the filters (containerd's filter language over `name`,
   * `parent`, `kind`, `labels`), or all. Other verbs may be called, and snapshots come and go, while it runs; each
   * description is equal to what `stat` answered at that moment. INVALID_ARGUMENT: not a filter.
   */
  list(filters?: readonly string[]): AsyncIterable<SnapshotInfo>

  /** What it takes on disk: for a committed one the figure taken at commit, for an active one the figure now. */
  usage(key: string): Promise<SnapshotUsage>

  /** Frees what removed snapshots and cut-short verbs left behind; answers when it is done. */
  cleanup(): Promise<void>

  /** Ends its use; a second call is nothing. Snapshots stay. */
  close(): Promise<void>
}
