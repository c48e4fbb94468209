/** Opening and committing ingests: who writes which ref, and what becomes of it. */
import { createReadStream } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { alreadyExists, notFound, unavailable } from '#api/errors/errors.ts'
import { ContentCreate } from '#api/gen/containerd/events/content.ts'
import { isSysError } from '#api/sys/sys.ts'
import type { Digest } from '#api/types/digest.ts'
import { validateLabels } from '#api/types/identifiers.ts'
import { type EventPublisher, eventAny } from '#core/events/events.ts'
import { addToLease, contentResource, ingestResource, removeFromLease } from '#core/leases/leases.ts'
import {
  Announcements,
  type BlobRecord,
  type IngestRecord,
  type Metadata,
  type NamespaceRecord,
  namespaceKey,
  namespaceNames,
  now,
  objectKey,
  type ReadTransaction,
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

/**
 * How long a second writer waits for the first to go: a client that closes one and opens the next at once would
 * overtake its own closing. containerd tries ten times, for half a second on average.
 */
const patienceMs = 500

interface Opened {
  readonly ns: string
  readonly ref: string
  readonly sinceMs: number
  /** Fulfilled when the ref is free again. */
  readonly gone: Promise<void>
  readonly go: () => void
  writer?: IngestWriter
  /** The ingest was aborted under its writer. */
  isRevoked?: boolean
}

/**
 * Who may have a blob by naming its digest: `shared`: every namespace, once one has it. `isolated`: a namespace proves
 * that it has the bytes by writing them, but for blobs of namespaces labelled `containerd.io/namespace.shareable=true`.
 */
export type SharingPolicy = 'shared' | 'isolated'

const shareableLabel = 'containerd.io/namespace.shareable'

export interface IngestsParts {
  readonly metadata: Metadata
  readonly events: EventPublisher
  readonly blobs: BlobFiles
  readonly files: IngestFiles
  readonly sharing: SharingPolicy
}

/** What a writer holds on to. */
interface Held {
  readonly record: IngestRecord
  /** Absent when the bytes are another namespace's blob. */
  readonly ingest?: OpenIngest
  readonly opened: Opened
  release(): void
}

export class Ingests {
  readonly #metadata: Metadata
  readonly #events: EventPublisher
  readonly #blobs: BlobFiles
  readonly #files: IngestFiles
  readonly #sharing: SharingPolicy
  /** One writer per namespace and ref. */
  readonly #opened = new Map<string, Opened>()
  /** Digests between their file's rename and their record. */
  readonly #committing = new Announcements()

  constructor({ metadata, events, blobs, files, sharing }: IngestsParts) {
    this.#metadata = metadata
    this.#events = events
    this.#blobs = blobs
    this.#files = files
    this.#sharing = sharing
  }

  async open(ns: string, options: WriterOptions): Promise<IngestWriter> {
    validateName(options.ref, 'ref')
    const id = JSON.stringify([ns, options.ref])
    const opened = await this.#claim(id, ns, options.ref)
    try {
      opened.writer = await this.#openWriter(ns, options, opened, () => this.#release(id, opened))
      return opened.writer
    } catch (error) {
      this.#release(id, opened)
      throw error
    }
  }

  /** Takes a ref from its writer, if it has one. UNAVAILABLE while one is being opened. */
  revoke(ns: string, ref: string): void {
    const id = JSON.stringify([ns, ref])
    const opened = this.#opened.get(id)
    if (opened === undefined) return
    if (opened.writer === undefined) throw unavailable(`reference ${ref} is being opened: try again`)
    opened.isRevoked = true
    this.#release(id, opened)
  }

  /** The ref may be somebody else's by now. */
  #release(id: string, opened: Opened): void {
    if (this.#opened.get(id) === opened) this.#opened.delete(id)
    opened.go()
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

  /** UNAVAILABLE when its writer stays; of those who wait, one is next and the others wait for that one. */
  async #claim(id: string, ns: string, ref: string): Promise<Opened> {
    const deadline = Date.now() + patienceMs
    for (;;) {
      const holder = this.#opened.get(id)
      if (holder === undefined) {
        const { promise: gone, resolve: go } = Promise.withResolvers<void>()
        const opened: Opened = { ns, ref, sinceMs: Date.now(), gone, go }
        this.#opened.set(id, opened)
        return opened
      }
      const leftMs = deadline - Date.now()
      if (leftMs <= 0) this.#refuseSecond(holder)
      const patience = new AbortController()
      await Promise.race([holder.gone, sleep(leftMs, undefined, { signal: patience.signal }).catch(() => {})])
      patience.abort()
    }
  }

  #refuseSecond({ ref, sinceMs }: Opened): never {
    const seconds = ((Date.now() - sinceMs) / 1000).toFixed(1)
    throw unavailable(`ref ${ref} locked for ${seconds}s (since ${new Date(sinceMs).toISOString()})`)
  }

  async #openWriter(ns: string, options: WriterOptions, opened: Opened, release: () => void): Promise<IngestWriter> {
    const record = this.#record(ns, options)
    const ownWriter = async (copyOf?: { digest: Digest; bytes: number }) => {
      const ingest = await this.#files.open(record.internalRef, options.totalBytes ?? 0)
      const writer = new FileIngestWriter(
        options.ref,
        ingest,
        options.expected,
        this.#hooks(ns, options, { record, ingest, opened, release }),
      )
      if (copyOf !== undefined) await this.#copyInto(writer, copyOf)
      return writer
    }
    const digest = record.shared
    const sizeBytes = digest && this.#blobs.sizeOf(digest)
    if (digest === undefined || sizeBytes === undefined) return await ownWriter()
    const hooks = this.#hooks(ns, options, { record, opened, release })
    return new SharedIngestWriter(options.ref, { digest, sizeBytes }, hooks, async bytes => {
      hooks.check()
      const own = await ownWriter({ digest, bytes })
      if (opened.isRevoked) await own.close()
      hooks.check()
      // Only now: until the copy is made, the record keeps the blob's file.
      this.#metadata.write(tx => tx.put(objectKey(ns, 'ingests', options.ref), withoutShared(record)))
      return own
    })
  }

  /** The first bytes of a blob as an ingest's beginning, in place of what an earlier writer may have left. */
  async #copyInto(writer: IngestWriter, { digest, bytes }: { digest: Digest; bytes: number }): Promise<void> {
    if (writer.offset > 0) await writer.truncate(0)
    if (bytes === 0) return
    try {
      for await (const chunk of createReadStream(this.#blobs.path(digest), { end: bytes - 1 }))
        await writer.write(chunk)
    } catch (cause) {
      await writer.close()
      // Aborted meanwhile: the blob had nobody else.
      if (isSysError(cause, 'ENOENT')) throw notFound(`reference ${writer.ref}`, { cause })
      throw cause
    }
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
      const shared = expected !== undefined && this.#canShare(tx, expected, totalBytes) ? { shared: expected } : {}
      const expiry = lease === undefined ? { expiresAtMs: Date.now() + ingestLifeMs } : {}
      const record: IngestRecord = { internalRef, ...shared, ...expiry }
      tx.put(key, record)
      return record
    })
    if (record === undefined) throw alreadyExists(`content ${expected}`)
    return record
  }

  /** Looked up within the transaction: a sweep takes names away in one step, and keeps those an ingest shares. */
  #canShare(tx: ReadTransaction, digest: Digest, totalBytes: number): boolean {
    if (this.#sharing === 'isolated' && !isShareable(tx, digest)) return false
    const size = this.#blobs.sizeOf(digest)
    return size !== undefined && (totalBytes === 0 || totalBytes === size)
  }

  #hooks(ns: string, options: WriterOptions, { record, ingest, opened, release }: Held): WriterHooks {
    let committed = false
    const check = () => {
      if (opened.isRevoked) throw notFound(`reference ${options.ref}`)
    }
    return {
      check,
      commit: async (digest, sizeBytes, labels) => {
        check()
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
        try {
          if (ingest === undefined) return
          if (committed || opened.isRevoked) await this.#files.remove(record.internalRef)
          else await this.#files.noteUpdate(record.internalRef, ingest.updatedAt)
        } finally {
          // Last: who opens it next reads what was noted.
          release()
        }
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

function isShareable(tx: ReadTransaction, digest: Digest): boolean {
  return namespaceNames(tx).some(
    ns =>
      tx.get<NamespaceRecord>(namespaceKey(ns))?.labels[shareableLabel] === 'true' &&
      tx.get(objectKey(ns, 'blobs', digest)) !== undefined,
  )
}

function withoutShared({ shared: _shared, ...record }: IngestRecord): IngestRecord {
  return record
}
