/**
 * Diff: layers to trees and back.
 *
 * A layer blob is applied to a *tree*, given as mounts (an active snapshot's). The tree is reached without mounting
 * where that is possible: a writable bind mount's source, or an overlay's upper directory, into which whiteouts are
 * written in overlay's own form. Anything else is mounted on a temporary directory for the time of the call.
 *
 * Where plugins offer differs, the media type decides who does it (chosen-diffs.ts). Our own work is native and off the JavaScript thread, in one pass: decompress, digest, write (`api/sys`).
 */
import type { DiffID, Digest } from '#api/types/digest.ts'
import type { Mount } from '#api/types/mount.ts'

export { ChosenDiffs, type OfferedDiffer } from './chosen-diffs.ts'
export { LocalDiffs } from './local-diffs.ts'
export { type Differ, proxyDiffer } from './proxy-diffs.ts'
export { diffService } from './service.ts'

/** What was read from a layer. */
export interface AppliedLayer {
  /** Digest of the uncompressed archive; the caller compares. */
  readonly diffID: DiffID
  readonly uncompressedBytes: number
  readonly entries: number
}

export interface ApplyOptions {
  /** Everything is on stable storage before the promise is fulfilled. */
  sync?: boolean | undefined
  signal?: AbortSignal | undefined
}

export interface DiffOptions {
  /** Media type to write; default a gzip OCI layer. */
  mediaType?: string | undefined
  /** Ref of the ingest. */
  ref?: string | undefined
  labels?: Readonly<Record<string, string>> | undefined
  /** Seconds since the epoch: no entry of the layer is younger, so that equal work gives equal layers. */
  latestSeconds?: number | undefined
  lease?: string | undefined
  signal?: AbortSignal | undefined
}

/** A layer blob made by {@link Diffs.diff}. */
export interface MadeLayer {
  readonly mediaType: string
  readonly digest: Digest
  readonly sizeBytes: number
  readonly diffID: DiffID
}

export interface Diffs {
  /** Whether somebody reads layers of that media type, as far as one can know without trying. */
  canApply(mediaType: string): boolean

  /**
   * Unpacks a layer blob onto a tree. After a failure the tree holds part of the layer: remove it.
   * NOT_FOUND: no such blob. NOT_IMPLEMENTED: the media type is none of a layer. INVALID_ARGUMENT: an archive that
   * reaches outside its root or crosses a limit. DATA_LOSS: damaged compression or a truncated archive.
   * RESOURCE_EXHAUSTED: disk full.
   */
  apply(
    ns: string,
    layer: { readonly mediaType: string; readonly digest: Digest },
    mounts: readonly Mount[],
    options?: ApplyOptions,
  ): Promise<AppliedLayer>

  /**
   * Empties a tree that is about to be removed, where that needs no mount: a full disk is freed at once, also when the
   * snapshotter cannot even record a removal for lack of space.
   */
  discard(mounts: readonly Mount[]): Promise<void>

  /** Packs what changed from `left` to `right` as a layer blob with the label `containerd.io/uncompressed`. */
  diff(ns: string, left: readonly Mount[], right: readonly Mount[], options?: DiffOptions): Promise<MadeLayer>
}
