import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { invalidArgument, notFound, resourceExhausted } from '#api/errors/errors.ts'
import { mapField, parseFilters } from '#api/filters/filters.ts'
import { ContentDelete } from '#api/gen/containerd/events/content.ts'
import type { Digest } from '#api/types/digest.ts'
import { validateLabels } from '#api/types/identifiers.ts'
import { type EventPublisher, eventAny } from '#core/events/events.ts'
import { contentResource, ingestResource, removeFromLease } from '#core/leases/leases.ts'
import {
  applyMapPath,
  type BlobRecord,
  type IngestRecord,
  type Metadata,
  namespaceNames,
  now,
  objectKey,
  Pace,
  type ReadTransaction,
  withoutEmpty,
} from '#core/metadata/metadata.ts'
import { BlobFiles } from './blob-files.ts'
import { openBlob } from './blob-reader.ts'
import type { BlobReader, ContentInfo, ContentStore, IngestStatus, IngestWriter, WriterOptions } from './content.ts'
import { type FileSize, IngestFiles } from './ingest-files.ts'
import { Ingests, type IngestsParts, type SharingPolicy } from './ingests.ts'

/** The content store in one folder of the local filesystem, recorded in the metadata store. */
export class LocalContentStore implements ContentStore {
  readonly #metadata: Metadata
  readonly #events: EventPublisher
  readonly #blobs: BlobFiles
  readonly #ingestFiles: IngestFiles
  readonly #ingests: Ingests
  /** Set until a sweep has looked: a crash may have left something. */
  #dirty = true

  /** Its folder. */
  readonly root: string
  readonly sharing: SharingPolicy

  private constructor(root: string, ingests: IngestsParts) {
    this.root = root
    this.sharing = ingests.sharing
    this.#metadata = ingests.metadata
    this.#events = ingests.events
    this.#blobs = ingests.blobs
    this.#ingestFiles = ingests.files
    this.#ingests = new Ingests(ingests)
  }

  /** Opens the store below `root`, which is made when missing. */
  static async open(
    root: string,
    metadata: Metadata,
    events: EventPublisher,
    sharing: SharingPolicy = 'shared',
  ): Promise<LocalContentStore> {
    const [blobs, files] = [await BlobFiles.open(root), await IngestFiles.open(root)]
    return new LocalContentStore(root, { metadata, events, blobs, files, sharing })
  }

  async info(ns: string, digest: Digest): Promise<ContentInfo> {
    return this.#metadata.read(tx => ({ digest, ...requireBlob(tx, ns, digest) }))
  }

  async *list(ns: string, filters: readonly string[] = []): AsyncGenerator<ContentInfo> {
    const matches = parseFilters(filters)
    const records = this.#metadata.read(tx => tx.list<BlobRecord>(objectKey(ns, 'blobs')))
    for (const { key, value } of records) {
      const info = { digest: String(key.at(-1)) as Digest, ...value }
      if (matches(path => contentField(info, path))) yield info
    }
  }

  async delete(ns: string, digest: Digest, { lease }: { lease?: string | undefined } = {}): Promise<void> {
    this.#metadata.write(
      tx => {
        if (!tx.delete(objectKey(ns, 'blobs', digest))) throw missing(digest)
        removeFromLease(tx, ns, lease, contentResource(digest))
        this.#dirty = true
      },
      { frees: true },
    )
    const event = eventAny('containerd.events.ContentDelete', ContentDelete, { digest })
    this.#events.publish(ns, '/content/delete', event)
  }

  async update(
    ns: string,
    { digest, labels: given }: { digest: Digest; labels: Readonly<Record<string, string>> },
    fieldPaths: readonly string[] = [],
  ): Promise<ContentInfo> {
    const paths = fieldPaths.length === 0 ? ['labels'] : fieldPaths
    return this.#metadata.write(tx => {
      const current = requireBlob(tx, ns, digest)
      let labels = current.labels
      for (const path of paths) {
        const changed = applyMapPath(path, 'labels', labels, given)
        if (changed === undefined) throw invalidArgument(`cannot update "${path}" field on content info "${digest}"`)
        labels = changed
      }
      validateLabels(labels, 'info.Labels')
      const record: BlobRecord = { ...current, labels: withoutEmpty(labels), updatedAt: now() }
      tx.put(objectKey(ns, 'blobs', digest), record)
      return { digest, ...record }
    })
  }

  async reader(ns: string, digest: Digest): Promise<BlobReader> {
    const { sizeBytes } = await this.info(ns, digest)
    return await openBlob(this.#blobs.path(digest), digest, sizeBytes)
  }

  async readAll(ns: string, digest: Digest, limitBytes: number): Promise<Buffer> {
    await using reader = await this.reader(ns, digest)
    if (reader.sizeBytes > limitBytes)
      throw resourceExhausted(`content ${digest} has ${reader.sizeBytes} bytes, over the limit of ${limitBytes}`)
    return Buffer.concat(await reader.stream().toArray())
  }

  async writer(ns: string, options: WriterOptions): Promise<IngestWriter> {
    return await this.#ingests.open(ns, options)
  }

  async status(ns: string, ref: string): Promise<IngestStatus> {
    const record = this.#metadata.read(tx => tx.get<IngestRecord>(objectKey(ns, 'ingests', ref)))
    const status = record && (await this.#ingests.status(ns, ref, record))
    if (status === undefined) throw notFound(`reference ${ref}`)
    return status
  }

  async listStatuses(ns: string, filters: readonly string[] = []): Promise<IngestStatus[]> {
    const matches = parseFilters(filters)
    const records = this.#metadata.read(tx => Array.from(tx.list<IngestRecord>(objectKey(ns, 'ingests'))))
    const statuses = await Promise.all(
      records.map(({ key, value }) => this.#ingests.status(ns, String(key.at(-1)), value)),
    )
    return statuses
      .filter(status => status !== undefined)
      .filter(({ ref }) => matches(([field]) => (field === 'ref' ? ref : undefined)))
  }

  async abort(ns: string, ref: string, { lease }: { lease?: string | undefined } = {}): Promise<void> {
    const record = this.#metadata.write(
      tx => {
        const found = tx.get<IngestRecord>(objectKey(ns, 'ingests', ref))
        if (found === undefined) throw notFound(`reference ${ref}`)
        this.#ingests.revoke(ns, ref)
        tx.delete(objectKey(ns, 'ingests', ref))
        removeFromLease(tx, ns, lease, ingestResource(ref))
        return found
      },
      { frees: true },
    )
    await this.#ingestFiles.remove(record.internalRef)
  }

  /** A collection dropped records: files are left over. */
  markDirty(): void {
    this.#dirty = true
  }

  /** Refs that have a writer now: garbage collection leaves them alone. */
  openIngests(): { ns: string; ref: string }[] {
    return this.#ingests.opened()
  }

  /**
   * Removes files no record knows, in any namespace: after a collection, and what a crash left. Safe beside every
   * other call: whoever is about to record a blob has announced its digest before its file appeared. Does nothing when
   * nothing was taken away since the last sweep.
   */
  async sweep(): Promise<void> {
    if (!this.#dirty) return
    this.#dirty = false
    try {
      await this.#sweepFiles()
    } catch (error) {
      this.#dirty = true
      throw error
    }
  }

  /** What {@link sweep} would remove now, by name, with its bytes. Nothing while it would not look. */
  async leftovers(): Promise<{ blobs: FileSize[]; ingests: FileSize[] }> {
    if (!this.#dirty) return { blobs: [], ingests: [] }
    return { blobs: await this.strayBlobs(), ingests: await this.strayIngests() }
  }

  /** Blob files no record knows and nobody is about to record. */
  async strayBlobs(): Promise<FileSize[]> {
    const pace = new Pace()
    const stray: FileSize[] = []
    for (const digest of await this.#blobs.digests()) {
      await pace.step()
      const sizeBytes = this.#blobs.sizeOf(digest)
      if (!this.#isWanted(digest) && sizeBytes !== undefined) stray.push({ name: digest, sizeBytes })
    }
    return stray
  }

  /** Ingest folders no record knows. */
  async strayIngests(): Promise<FileSize[]> {
    return await this.#ingestFiles.stray(() => this.#metadata.read(allInternalRefs))
  }

  /** A sweep will look for files no record knows. */
  get isSweepDue(): boolean {
    return this.#dirty
  }

  /** Reads a blob's file through. ENOENT. */
  async digestOf(digest: Digest): Promise<Digest> {
    const hash = createHash('sha256')
    for await (const chunk of createReadStream(this.#blobs.path(digest), { highWaterMark: 1 << 20 })) hash.update(chunk)
    return `sha256:${hash.digest('hex')}` as Digest
  }

  /** Whether there is a folder for an ingest. */
  hasIngestData(internalRef: string): boolean {
    return this.#ingestFiles.has(internalRef)
  }

  /** Bytes of a blob's file; undefined when there is none. */
  sizeOf(digest: Digest): number | undefined {
    return this.#blobs.sizeOf(digest)
  }

  /** Each file is looked at and taken away in one turn: nobody can come to want it in between. */
  async #sweepFiles(): Promise<void> {
    await this.#ingestFiles.sweep(() => this.#metadata.read(allInternalRefs))
    const pace = new Pace()
    for (const digest of await this.#blobs.digests()) {
      await pace.step()
      if (!this.#isWanted(digest)) this.#blobs.discard(digest)
    }
    await this.#blobs.emptyTrash()
  }

  /** Some namespace has it, has begun to take it over from another, or is about to record it. */
  #isWanted(digest: Digest): boolean {
    if (this.#ingests.isCommitting(digest)) return true
    return this.#metadata.read(
      tx =>
        namespaceNames(tx).some(ns => tx.get(objectKey(ns, 'blobs', digest)) !== undefined) ||
        allIngests(tx).some(({ shared }) => shared === digest),
    )
  }
}

function missing(digest: Digest): Error {
  return notFound(`content digest ${digest}`)
}

function requireBlob(tx: ReadTransaction, ns: string, digest: Digest): BlobRecord {
  const record = tx.get<BlobRecord>(objectKey(ns, 'blobs', digest))
  if (record === undefined) throw missing(digest)
  return record
}

function allIngests(tx: ReadTransaction): IngestRecord[] {
  return namespaceNames(tx).flatMap(ns =>
    Array.from(tx.list<IngestRecord>(objectKey(ns, 'ingests')), ({ value }) => value),
  )
}

function allInternalRefs(tx: ReadTransaction): string[] {
  return allIngests(tx).map(({ internalRef }) => internalRef)
}

function contentField(info: ContentInfo, [field, ...rest]: readonly string[]): string | undefined {
  if (field === 'digest') return info.digest
  if (field === 'size') return String(info.sizeBytes)
  return field === 'labels' ? mapField(info.labels, rest) : undefined
}
