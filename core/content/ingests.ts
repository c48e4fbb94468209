/** Opening and committing ingests: who writes which ref, and what becomes of it. */
import { createReadStream } from 'node:fs'
import { alreadyExists, unavailable } from '#api/errors/errors.ts'
import { ContentCreate } from '#api/gen/containerd/events/content.ts'
import type { Digest } from '#api/types/digest.ts'
import { validateLabels } from '#api/types/identifiers.ts'
import { type EventPublisher, eventAny } from '#core/events/events.ts'
import { addToLease, contentResource, ingestResource, removeFromLease } from '#core/leases/leases.ts'
import {
  Announcements,
  type BlobRecord,
  type IngestRecord,
  type Metadata,
  now,
  objectKey,
  touchNamespace,
  validateName,
  type WriteTransaction,
  withoutEmpty,
} from '#core/metadata/metadata.ts'
import type { BlobFiles } from './blob-files.ts'
import type { ContentInfo, IngestStatus, IngestWriter, WriterOptions } from './content.ts'
import type { IngestFiles, OpenIngest } from './ingest-files.ts'
import { FileIngestWriter, SharedIngestWriter, type WriterHooks } from './ingest-writer.ts'

const ingestLifeMs = 24 * 3600 * 1000

interface Opened {
  readonly ns: string
  readonly ref: string
  readonly sinceMs: number
  writer?: IngestWriter
}

export class Ingests {
  readonly #metadata: Metadata
  readonly #events: EventPublisher
  readonly #blobs: BlobFiles
  readonly #files: IngestFiles
  /** One writer per namespace and ref. */
  readonly #opened = new Map<string, Opened>()
  /** Digests between their file's rename and their record. */
  readonly #committing = new Announcements()

  constructor(metadata: Metadata, events: EventPublisher, blobs: BlobFiles, files: IngestFiles) {
    this.#metadata = metadata
    this.#events = events
    this.#blobs = blobs
    this.#files = files
  }

  async open(ns: string, options: WriterOptions): Promise<IngestWriter> {
    validateName(options.ref, 'ref')
    const id = JSON.stringify([ns, options.ref])
    this.#refuseSecond(id, options.ref)
    const opened: Opened = { ns, ref: options.ref, sinceMs: Date.now() }
    this.#opened.set(id, opened)
    try {
      opened.writer = await this.#openWriter(ns, options, () => this.#opened.delete(id))
      return opened.writer
    } catch (error) {
      this.#opened.delete(id)
      throw error
    }
  }

  isOpen(ns: string, ref: string): boolean {
    return this.#opened.has(JSON.stringify([ns, ref]))
  }

  opened(): { ns: string; ref: string }[] {
    return Array.from(this.#opened.values(), ({ ns, ref }) => ({ ns, ref }))
  }

  isCommitting(digest: Digest): boolean {
    return this.#committing.has(digest)
  }

  /** Undefined when nothing is on disk. */
  async status(ns: string, ref: string, { internalRef, shared }: IngestRecord): Promise<IngestStatus | undefined> {
    const writer = this.#opened.get(JSON.stringify([ns, ref]))?.writer
    if (writer !== undefined) return writer.status()
    const state = await this.#files.state(internalRef).catch(() => undefined)
    return state && { ref, ...state, ...(shared && { expected: shared }) }
  }

  #refuseSecond(id: string, ref: string): void {
    const holder = this.#opened.get(id)
    if (holder === undefined) return
    const seconds = ((Date.now() - holder.sinceMs) / 1000).toFixed(1)
    throw unavailable(`ref ${ref} locked for ${seconds}s (since ${new Date(holder.sinceMs).toISOString()})`)
  }

  async #openWriter(ns: string, options: WriterOptions, release: () => void): Promise<IngestWriter> {
    const record = this.#record(ns, options)
    const ownWriter = async (copyOf?: { digest: Digest; bytes: number }) => {
      const ingest = await this.#files.open(record.internalRef, options.totalBytes ?? 0)
      const writer = new FileIngestWriter(
        options.ref,
        ingest,
        options.expected,
        this.#hooks(ns, options, record, ingest, release),
      )
      if (copyOf !== undefined && copyOf.bytes > 0)
        for await (const chunk of createReadStream(this.#blobs.path(copyOf.digest), { end: copyOf.bytes - 1 }))
          await writer.write(chunk)
      return writer
    }
    const digest = record.shared
    const sizeBytes = digest && this.#blobs.sizeOf(digest)
    if (digest === undefined || sizeBytes === undefined) return await ownWriter()
    const hooks = this.#hooks(ns, options, record, undefined, release)
    return new SharedIngestWriter(options.ref, { digest, sizeBytes }, hooks, async bytes => {
      this.#metadata.write(tx => tx.put(objectKey(ns, 'ingests', options.ref), withoutShared(record)))
      return await ownWriter({ digest, bytes })
    })
  }

  /** Records the ingest and its lease. ALREADY_EXISTS, with the blob leased, when the namespace has the blob. */
  #record(ns: string, { ref, expected, lease, totalBytes = 0 }: WriterOptions): IngestRecord {
    const fresh = `${ns}/${this.#metadata.nextSequence()}/${ref}`
    const record = this.#metadata.write(tx => {
      if (expected !== undefined && tx.get(objectKey(ns, 'blobs', expected)) !== undefined) {
        addToLease(tx, ns, lease, contentResource(expected))
        return undefined
      }
      const key = objectKey(ns, 'ingests', ref)
      const internalRef = tx.get<IngestRecord>(key)?.internalRef ?? fresh
      addToLease(tx, ns, lease, ingestResource(ref))
      touchNamespace(tx, ns)
      const shared = expected !== undefined && this.#canShare(expected, totalBytes) ? { shared: expected } : {}
      const expiry = lease === undefined ? { expiresAtMs: Date.now() + ingestLifeMs } : {}
      const record: IngestRecord = { internalRef, ...shared, ...expiry }
      tx.put(key, record)
      return record
    })
    if (record === undefined) throw alreadyExists(`content ${expected}`)
    return record
  }

  /** Looked up within the transaction: a sweep takes names away in one step, and keeps those an ingest shares. */
  #canShare(digest: Digest, totalBytes: number): boolean {
    const size = this.#blobs.sizeOf(digest)
    return size !== undefined && (totalBytes === 0 || totalBytes === size)
  }

  #hooks(
    ns: string,
    options: WriterOptions,
    record: IngestRecord,
    ingest: OpenIngest | undefined,
    release: () => void,
  ): WriterHooks {
    let committed = false
    return {
      commit: async (digest, sizeBytes, labels) => {
        validateLabels(labels, 'info.Labels')
        using _announced = this.#committing.announce(digest)
        if (ingest !== undefined) await this.#blobs.adopt(ingest.dataPath, ingest.file, digest)
        const info = this.#recordBlob(ns, options, { digest, sizeBytes, labels })
        committed = true
        if (info === undefined) throw alreadyExists(`content ${digest}`)
        this.#publish(ns, info, options.mediaType)
        return info
      },
      closed: async () => {
        release()
        if (ingest === undefined) return
        if (committed) await this.#files.remove(record.internalRef)
        else await this.#files.noteUpdate(record.internalRef)
      },
    }
  }

  /** The ingest becomes the blob in one step. Undefined when the namespace had it: the ingest is dropped all the same. */
  #recordBlob(
    ns: string,
    { ref, lease }: WriterOptions,
    { digest, sizeBytes, labels }: Pick<ContentInfo, 'digest' | 'sizeBytes' | 'labels'>,
  ): ContentInfo | undefined {
    const at = now()
    const record: BlobRecord = { sizeBytes, createdAt: at, updatedAt: at, labels: withoutEmpty(labels) }
    return this.#metadata.write(tx => {
      endIngest(tx, ns, ref, lease)
      addToLease(tx, ns, lease, contentResource(digest))
      if (tx.get(objectKey(ns, 'blobs', digest)) !== undefined) return undefined
      touchNamespace(tx, ns)
      tx.put(objectKey(ns, 'blobs', digest), record)
      return { digest, ...record }
    })
  }

  #publish(ns: string, { digest, sizeBytes }: ContentInfo, mediaType = ''): void {
    const event = { digest, size: BigInt(sizeBytes), mediaType }
    this.#events.publish(ns, '/content/create', eventAny('containerd.events.ContentCreate', ContentCreate, event))
  }
}

function endIngest(tx: WriteTransaction, ns: string, ref: string, lease: string | undefined): void {
  tx.delete(objectKey(ns, 'ingests', ref))
  removeFromLease(tx, ns, lease, ingestResource(ref))
}

function withoutShared({ shared: _shared, ...record }: IngestRecord): IngestRecord {
  return record
}
