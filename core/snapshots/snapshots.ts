/**
 * Snapshots: filesystem trees that build on one another, provided by snapshotter processes.
 *
 * A snapshot is *active* (writable, found by its key), a *view* (read-only, found by its key) or *committed*
 * (immutable, found by its name, may be a parent). Keys and names share one space per tenant namespace and
 * snapshotter. Answers are mounts as data; nothing here mounts.
 *
 * ```ts
 * const layers = snapshots.on('overlayfs')
 * const mounts = await layers.prepare(ns, 'extract-1 sha256:cc…', 'sha256:bb…', { lease })
 * await applyLayer(mounts, blob)
 * await layers.commit(ns, 'sha256:cc…', 'extract-1 sha256:cc…', { lease })
 * ```
 *
 * ## The front and its backends
 * A *backend* ({@link SnapshotterBackend}) is somebody's process behind containerd's snapshots protocol. It sees keys
 * `<namespace>/<sequence>/<key>`, unique for ever, and only labels meant for it (`containerd.io/snapshot/…`,
 * `containerd.io/snapshot.ref`). Parents, labels and times of record are ours.
 *
 * Removing unlinks the record at once; the backend's tree goes with garbage collection, children first.
 *
 * ## When a process dies in between
 * - prepare, view: the backend makes its snapshot first, the record follows. Killed between: the backend holds a
 *   snapshot without a record; the sweep removes it.
 * - commit: an intent is recorded, the backend commits, the record follows and clears the intent. Killed between:
 *   the next use of the backend asks it which of the two keys it holds, and finishes or drops the intent.
 *
 * ## Remote snapshotters
 * `prepare` with the label `containerd.io/snapshot.ref=<name>` lets a backend provide the finished layer itself: it
 * commits and answers ALREADY_EXISTS. The front then finds it by that label and parent, records it as `<name>`, and
 * answers ALREADY_EXISTS too: the caller checks `stat(<name>)` and skips the download.
 */
import type { Timestamp } from '#api/gen/google/protobuf/timestamp.ts'
import type { Mount } from '#api/types/mount.ts'

export type { Mount } from '#api/types/mount.ts'

export type SnapshotKind = 'active' | 'view' | 'committed'

export interface SnapshotInfo {
  /** Key, or name of a committed one. */
  readonly name: string
  /** Name of the parent; empty for none. */
  readonly parent: string
  readonly kind: SnapshotKind
  readonly createdAt: Timestamp
  readonly updatedAt: Timestamp
  readonly labels: Readonly<Record<string, string>>
}

export interface SnapshotUsage {
  readonly sizeBytes: bigint
  /** Files, directories and links. */
  readonly inodes: bigint
}

/** Options of calls that make something. */
export interface SnapshotOptions {
  labels?: Readonly<Record<string, string>> | undefined
  /** Id of the lease that is to keep the snapshot; NOT_FOUND when there is none. */
  lease?: string | undefined
  signal?: AbortSignal | undefined
}

export interface Snapshots {
  /**
   * The snapshotter of that name. INVALID_ARGUMENT when the name is empty or not configured; its process is started
   * with the first call that needs it.
   */
  on(snapshotter: string): NamespacedSnapshotter
  /** Names configured, sorted. */
  names(): string[]
}

/** One snapshotter, seen from the tenant namespaces. */
export interface NamespacedSnapshotter {
  readonly name: string

  /**
   * Makes an active snapshot on a committed parent (empty: an empty tree). ALREADY_EXISTS when the key is taken (or a
   * remote snapshotter provided the layer); NOT_FOUND for the parent; INVALID_ARGUMENT when it is not committed.
   */
  prepare(ns: string, key: string, parent: string, options?: SnapshotOptions): Promise<Mount[]>

  /** As {@link prepare}, but read-only and never committed. */
  view(ns: string, key: string, parent: string, options?: SnapshotOptions): Promise<Mount[]>

  /**
   * Freezes an active snapshot under `name`; its key is free afterwards. `parent` sets the parent of one prepared
   * without (rebase); INVALID_ARGUMENT when it has another. NOT_FOUND; ALREADY_EXISTS for the name; FAILED_PRECONDITION for a view.
   */
  commit(
    ns: string,
    name: string,
    key: string,
    options?: SnapshotOptions & { parent?: string | undefined },
  ): Promise<void>

  /** Unlinks a snapshot, and takes it out of the lease. NOT_FOUND; FAILED_PRECONDITION while another one builds on it. */
  remove(ns: string, key: string, options?: { lease?: string | undefined }): Promise<void>

  /** NOT_FOUND. */
  stat(ns: string, key: string, signal?: AbortSignal): Promise<SnapshotInfo>

  /** Changes labels (`labels`, `labels.<key>`; none means all). INVALID_ARGUMENT for another path; NOT_FOUND. */
  update(
    ns: string,
    info: { name: string; labels: Readonly<Record<string, string>> },
    fieldPaths?: readonly string[],
  ): Promise<SnapshotInfo>

  /** Snapshots that match one of `filters` (`name`, `parent`, `kind`, `labels`), by name. */
  list(ns: string, filters?: readonly string[], signal?: AbortSignal): AsyncIterable<SnapshotInfo>

  /** The mounts of an active snapshot or a view. NOT_FOUND; FAILED_PRECONDITION for a committed one. */
  mounts(ns: string, key: string, signal?: AbortSignal): Promise<Mount[]>

  /** What it takes on disk without its parents. NOT_FOUND. */
  usage(ns: string, key: string, signal?: AbortSignal): Promise<SnapshotUsage>
}

/**
 * What is behind the front: containerd's snapshots protocol as methods, with the protocol's rules and errors
 * (`api/proto/containerd/services/snapshots/v1`). Keys, names and parents are the backend's own
 * (`<namespace>/<sequence>/<key>`).
 */
export interface SnapshotterBackend {
  prepare(key: string, parent: string, labels: Readonly<Record<string, string>>, signal?: AbortSignal): Promise<Mount[]>
  view(key: string, parent: string, labels: Readonly<Record<string, string>>, signal?: AbortSignal): Promise<Mount[]>
  commit(
    name: string,
    key: string,
    options: { labels: Readonly<Record<string, string>>; parent: string },
  ): Promise<void>
  remove(key: string): Promise<void>
  stat(key: string, signal?: AbortSignal): Promise<SnapshotInfo>
  update(
    info: { name: string; labels: Readonly<Record<string, string>> },
    fieldPaths: readonly string[],
  ): Promise<SnapshotInfo>
  list(filters?: readonly string[], signal?: AbortSignal): AsyncIterable<SnapshotInfo>
  mounts(key: string, signal?: AbortSignal): Promise<Mount[]>
  usage(key: string, signal?: AbortSignal): Promise<SnapshotUsage>
  /** Frees what removed snapshots left behind. UNIMPLEMENTED where `remove` frees at once. */
  cleanup(): Promise<void>
}

export { SnapshotterFronts } from './fronts.ts'
export { proxyBackend } from './proxy-backend.ts'
export { SnapshotRecords } from './records.ts'
export { snapshotsService } from './service.ts'
