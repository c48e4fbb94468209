/**
 * Content: immutable blobs by digest, and the ingests that turn into them.
 *
 * A *blob* never changes; its labels do. An *ingest* is an unfinished write, found by a *ref* its writer chose
 * (by custom `layer-sha256:…`, `manifest-sha256:…`). It survives its writer and the daemon: open the same ref
 * again and it goes on at `offset`. One ref has one writer at a time.
 *
 * ```ts
 * await using writer = await content.writer(ns, { ref: `layer-${digest}`, expected: digest, lease })
 * for await (const chunk of download(digest, { from: writer.offset })) await writer.write(chunk)
 * await writer.commit({ sizeBytes, labels: { 'containerd.io/uncompressed': diffId } })
 * ```
 *
 * A blob is visible only after commit: data synced, size and digest verified, renamed into place, recorded.
 * The digest is computed from the stream as it is written, and from the file only when an ingest is reopened.
 * Reads are not verified again.
 *
 * Tenancy: a record per tenant namespace, one file for all. A writer that names an `expected` digest whose file
 * is there already (another namespace has it) starts complete: `offset` is the blob's size, and `commit` only
 * records it.
 *
 * Deleting removes the record; the file goes with garbage collection once no namespace has it. A blob nothing
 * refers to is collected at any moment: hold a lease.
 *
 * On disk, below the store's root: `blobs/sha256/<hex>` (0444) and
 * `ingest/<sha256 of the internal ref>/{data,ref,startedat,updatedat,total}`.
 */
import type { Readable } from 'node:stream'
import type { Timestamp } from '#api/gen/google/protobuf/timestamp.ts'
import type { Digest } from '#api/types/digest.ts'

export interface ContentInfo {
  readonly digest: Digest
  readonly sizeBytes: number
  /** When it was committed in this namespace. */
  readonly createdAt: Timestamp
  /** When its labels last changed. */
  readonly updatedAt: Timestamp
  readonly labels: Readonly<Record<string, string>>
}

export interface IngestStatus {
  readonly ref: string
  /** Bytes written so far. */
  readonly offset: number
  /** Bytes announced; 0 when not known. */
  readonly totalBytes: number
  readonly expected?: Digest
  readonly startedAt: Timestamp
  readonly updatedAt: Timestamp
}

export interface ContentStore {
  /** Describes a blob. NOT_FOUND. */
  info(ns: string, digest: Digest): Promise<ContentInfo>

  /** Blobs that match one of `filters` (fields `digest`, `size`, `labels`). INVALID_ARGUMENT for a bad filter. */
  list(ns: string, filters?: readonly string[]): AsyncIterable<ContentInfo>

  /** Removes the record, and the blob from its leases. NOT_FOUND. */
  delete(ns: string, digest: Digest, options?: { lease?: string | undefined }): Promise<void>

  /**
   * Changes labels: `labels` (all) or `labels.<key>` in `fieldPaths`; none means all labels. An empty value removes
   * one. INVALID_ARGUMENT for another path or a label that is too long; NOT_FOUND.
   */
  update(
    ns: string,
    info: { digest: Digest; labels: Readonly<Record<string, string>> },
    fieldPaths?: readonly string[],
  ): Promise<ContentInfo>

  /** Opens a blob; dispose it. NOT_FOUND. */
  reader(ns: string, digest: Digest): Promise<BlobReader>

  /** A whole small blob, such as a manifest. RESOURCE_EXHAUSTED when it is longer than `limitBytes`; NOT_FOUND. */
  readAll(ns: string, digest: Digest, limitBytes: number): Promise<Buffer>

  /**
   * Opens an ingest, new or left over. UNAVAILABLE when another writer has it and keeps it for half a second. With
   * `expected`: ALREADY_EXISTS when this namespace has the blob (it is added to the lease all the same). NOT_FOUND for an
   * unknown lease.
   * Without a lease an ingest expires 24 h after it was last opened.
   */
  writer(ns: string, options: WriterOptions): Promise<IngestWriter>

  /** Describes an ingest. NOT_FOUND. */
  status(ns: string, ref: string): Promise<IngestStatus>

  /** All ingests that match one of `filters` (field `ref`). */
  listStatuses(ns: string, filters?: readonly string[]): Promise<IngestStatus[]>

  /**
   * Drops an ingest and its data, and takes it out of the lease. A writer that has it loses it: what it does next is
   * NOT_FOUND, and the ref is free at once. NOT_FOUND; UNAVAILABLE while a writer is being opened.
   */
  abort(ns: string, ref: string, options?: { lease?: string | undefined }): Promise<void>
}

/** An open blob; not bothered by a deletion while it is open. */
export interface BlobReader extends AsyncDisposable {
  readonly sizeBytes: number
  /** The blob's file, for native code. Valid as long as something keeps the blob. */
  readonly path: string
  /** All of it, when it is small. */
  readonly whole?: Buffer
  /** Bytes from `offset`, `length` at most; to the end without. Any number of streams at a time. */
  stream(offset?: number, length?: number): Readable
}

export interface WriterOptions {
  ref: string
  expected?: Digest | undefined
  /** Size announced, told by `status`; commit verifies what its caller says, not this. */
  totalBytes?: number | undefined
  /** Id of the lease that is to keep the ingest, and later the blob. */
  lease?: string | undefined
  /** For the event `/content/create` only. */
  mediaType?: string | undefined
}

/** The one writer of a ref. `close` keeps the ingest; only `commit` and `ContentStore.abort` end it. */
export interface IngestWriter extends AsyncDisposable {
  readonly ref: string
  /** Bytes so far: where the next `write` goes. */
  readonly offset: number
  status(): IngestStatus
  /** Digest of the bytes so far. */
  digest(): Digest
  /** Appends. The chunk may be reused when the promise is fulfilled. Calls must not overlap. */
  write(chunk: Uint8Array): Promise<void>
  /** Cuts the ingest to `offset` bytes (0: start over). INVALID_ARGUMENT beyond its end. */
  truncate(offset: number): Promise<void>
  /**
   * Makes the blob and closes. FAILED_PRECONDITION when size or digest is not as said (no blob appears, the ingest
   * stays); ALREADY_EXISTS when this namespace has the blob by now (the ingest is dropped, the lease has the blob).
   */
  commit(options?: CommitOptions): Promise<ContentInfo>
  close(): Promise<void>
}

export interface CommitOptions {
  /** Exact size; undefined or 0 is not checked. */
  sizeBytes?: number | undefined
  expected?: Digest | undefined
  labels?: Readonly<Record<string, string>> | undefined
}

export { LocalContentStore } from './local-store.ts'
export { contentService } from './service.ts'
