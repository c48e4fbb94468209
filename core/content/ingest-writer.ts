import { createHash, type Hash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { failedPrecondition, invalidArgument } from '#api/errors/errors.ts'
import { fullDiskError } from '#api/errors/full-disk.ts'
import type { Digest } from '#api/types/digest.ts'
import { now } from '#core/metadata/metadata.ts'
import type { CommitOptions, ContentInfo, IngestStatus, IngestWriter } from './content.ts'
import type { OpenIngest } from './ingest-files.ts'

/** What a writer needs of the store around it. */
export interface WriterHooks {
  /** NOT_FOUND when the ingest was aborted. */
  check(): void
  /** Turns the verified, synced ingest into a blob, or takes over the shared one. */
  commit(digest: Digest, sizeBytes: number, labels: Readonly<Record<string, string>>): Promise<ContentInfo>
  /** Called once, when the writer has let go of its file. */
  closed(): Promise<void>
}

/** Writes an ingest's data file, hashing as it goes. */
export class FileIngestWriter implements IngestWriter {
  readonly ref: string
  readonly #ingest: OpenIngest
  readonly #hooks: WriterHooks
  readonly #expected: Digest | undefined
  #hash: Hash
  #offset: number
  #closed = false

  constructor(ref: string, ingest: OpenIngest, expected: Digest | undefined, hooks: WriterHooks) {
    this.ref = ref
    this.#ingest = ingest
    this.#hash = ingest.hash
    this.#offset = ingest.offset
    this.#expected = expected
    this.#hooks = hooks
  }

  get offset(): number {
    return this.#offset
  }

  status(): IngestStatus {
    const { totalBytes, startedAt, updatedAt } = this.#ingest
    const expected = this.#expected === undefined ? {} : { expected: this.#expected }
    return { ref: this.ref, offset: this.#offset, totalBytes, startedAt, updatedAt, ...expected }
  }

  digest(): Digest {
    return `sha256:${this.#hash.copy().digest('hex')}` as Digest
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#hooks.check()
    const written = this.#writeAll(chunk)
    // While the kernel copies the bytes; the promise is awaited whatever the hash does.
    this.#hash.update(chunk)
    await written
    this.#offset += chunk.length
    this.#ingest.updatedAt = now()
  }

  /** A write that fails half way (a full disk) leaves the file longer than the hash: cut it back. */
  async #writeAll(chunk: Uint8Array): Promise<void> {
    const { file } = this.#ingest
    const before = this.#hash.copy()
    try {
      for (let done = 0; done < chunk.length; )
        done += (await file.write(chunk, done, chunk.length - done)).bytesWritten
    } catch (error) {
      this.#hash = before
      await file.truncate(this.#offset)
      throw fullDiskError(this.#ingest.dataPath, error)
    }
  }

  async truncate(offset: number): Promise<void> {
    if (offset < 0 || offset > this.#offset)
      throw invalidArgument(`cannot truncate ingest "${this.ref}" to ${offset}: it has ${this.#offset} bytes`)
    this.#hooks.check()
    await this.#ingest.file.truncate(offset)
    await this.#rehash(offset)
    this.#ingest.updatedAt = now()
  }

  async #rehash(offset: number): Promise<void> {
    const hash = createHash('sha256')
    if (offset > 0)
      for await (const chunk of createReadStream(this.#ingest.dataPath, { end: offset - 1 })) hash.update(chunk)
    this.#hash = hash
    this.#offset = offset
  }

  async commit({ sizeBytes = 0, expected, labels = {} }: CommitOptions = {}): Promise<ContentInfo> {
    const digest = this.digest()
    try {
      this.#hooks.check()
      verify(this.ref, { digest, sizeBytes: this.#offset }, { sizeBytes, expected })
      await this.#ingest.file.sync().catch(error => {
        throw fullDiskError(this.#ingest.dataPath, error)
      })
      return await this.#hooks.commit(digest, this.#offset, labels)
    } finally {
      await this.close()
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#ingest.file.close()
    await this.#hooks.closed()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/**
 * Stands for bytes another namespace has: complete from the start, nothing on disk. A caller that writes or cuts all
 * the same gets an ingest of its own, begun with a copy.
 */
export class SharedIngestWriter implements IngestWriter {
  readonly ref: string
  readonly #digest: Digest
  readonly #sizeBytes: number
  readonly #hooks: WriterHooks
  readonly #unshare: (copyBytes: number) => Promise<IngestWriter>
  readonly #startedAt = now()
  #own: IngestWriter | undefined
  #closed = false

  constructor(
    ref: string,
    blob: { digest: Digest; sizeBytes: number },
    hooks: WriterHooks,
    unshare: (copyBytes: number) => Promise<IngestWriter>,
  ) {
    this.ref = ref
    this.#digest = blob.digest
    this.#sizeBytes = blob.sizeBytes
    this.#hooks = hooks
    this.#unshare = unshare
  }

  get offset(): number {
    return this.#own?.offset ?? this.#sizeBytes
  }

  status(): IngestStatus {
    if (this.#own !== undefined) return this.#own.status()
    const [at, size] = [this.#startedAt, this.#sizeBytes]
    return { ref: this.ref, offset: size, totalBytes: size, startedAt: at, updatedAt: at, expected: this.#digest }
  }

  digest(): Digest {
    return this.#own?.digest() ?? this.#digest
  }

  async write(chunk: Uint8Array): Promise<void> {
    if (chunk.length === 0) return
    this.#own ??= await this.#unshare(this.#sizeBytes)
    await this.#own.write(chunk)
  }

  async truncate(offset: number): Promise<void> {
    if (this.#own === undefined) this.#own = await this.#unshare(offset)
    else await this.#own.truncate(offset)
  }

  async commit(options: CommitOptions = {}): Promise<ContentInfo> {
    if (this.#own !== undefined) return await this.#own.commit(options)
    const { sizeBytes = 0, expected, labels = {} } = options
    try {
      this.#hooks.check()
      verify(this.ref, { digest: this.#digest, sizeBytes: this.#sizeBytes }, { sizeBytes, expected })
      return await this.#hooks.commit(this.#digest, this.#sizeBytes, labels)
    } finally {
      await this.close()
    }
  }

  async close(): Promise<void> {
    if (this.#own !== undefined) return await this.#own.close()
    if (this.#closed) return
    this.#closed = true
    await this.#hooks.closed()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/** FAILED_PRECONDITION, in containerd's words. */
function verify(
  ref: string,
  actual: { digest: Digest; sizeBytes: number },
  { sizeBytes, expected }: { sizeBytes: number; expected: Digest | undefined },
): void {
  if (sizeBytes !== 0 && sizeBytes !== actual.sizeBytes)
    throw failedPrecondition(`"${ref}" failed size validation: ${actual.sizeBytes} != ${sizeBytes}`)
  if (expected !== undefined && expected !== actual.digest)
    throw failedPrecondition(`unexpected commit digest ${actual.digest}, expected ${expected}`)
}
