/**
 * Ingests on disk: `ingest/<sha256 of the internal ref>/` with the files
 * `data`, `ref` (the internal ref), `startedat`, `updatedat` (RFC 3339) and `total` (decimal). A file's own time comes
 * from the kernel's coarse clock, some milliseconds behind: it counts only where `updatedat`, written when a writer
 * begins or leaves, is older still.
 */
import { createHash, type Hash } from 'node:crypto'
import { createReadStream, existsSync, statSync } from 'node:fs'
import { type FileHandle, mkdir, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Timestamp } from '#api/gen/google/protobuf/timestamp.ts'
import { formatTimestamp, isAfter, now, parseTimestamp, timestampOf } from '#api/types/clock.ts'

export interface IngestState {
  offset: number
  totalBytes: number
  startedAt: Timestamp
  updatedAt: Timestamp
}

/** Something on disk, and its bytes. */
export interface FileSize {
  readonly name: string
  readonly sizeBytes: number
}

/** An ingest opened for writing: its data file, how far it is, and the hash of what is there. */
export interface OpenIngest extends IngestState {
  readonly dataPath: string
  readonly file: FileHandle
  readonly hash: Hash
}

export class IngestFiles {
  readonly #folder: string

  private constructor(root: string) {
    this.#folder = join(root, 'ingest')
  }

  static async open(root: string): Promise<IngestFiles> {
    const files = new IngestFiles(root)
    await mkdir(files.#folder, { recursive: true, mode: 0o700 })
    return files
  }

  /** Opens for writing, new or left over; what is there is read once to hash it. */
  async open(internalRef: string, totalBytes: number): Promise<OpenIngest> {
    const folder = this.#path(internalRef)
    const dataPath = join(folder, 'data')
    if (!existsSync(join(folder, 'startedat'))) await this.#begin(folder, internalRef, totalBytes)
    const hash = createHash('sha256')
    let offset = 0
    const file = await open(dataPath, 'a+', 0o600)
    try {
      for await (const chunk of createReadStream(dataPath, { highWaterMark: 1 << 20 })) {
        hash.update(chunk)
        offset += chunk.length
      }
      const state = await this.state(internalRef)
      return { ...state, totalBytes: totalBytes || state.totalBytes, offset, dataPath, file, hash }
    } catch (error) {
      await file.close()
      throw error
    }
  }

  /** What is on disk of an ingest; ENOENT when nothing is. */
  async state(internalRef: string): Promise<IngestState> {
    const folder = this.#path(internalRef)
    const [data, startedAt, updatedAt, total] = await Promise.all([
      stat(join(folder, 'data')),
      readFile(join(folder, 'startedat'), 'utf8'),
      readFile(join(folder, 'updatedat'), 'utf8').catch(() => ''),
      readFile(join(folder, 'total'), 'utf8').catch(() => '0'),
    ])
    const changedAt = timestampOf(data.mtimeMs)
    const notedAt = parseTimestamp(updatedAt) ?? changedAt
    return {
      offset: data.size,
      totalBytes: Number(total) || 0,
      startedAt: parseTimestamp(startedAt) ?? changedAt,
      updatedAt: isAfter(changedAt, notedAt) ? changedAt : notedAt,
    }
  }

  has(internalRef: string): boolean {
    return existsSync(join(this.#path(internalRef), 'data'))
  }

  /** Notes when the bytes last changed, by the fine clock. */
  async noteUpdate(internalRef: string, at: Timestamp): Promise<void> {
    await writeFile(join(this.#path(internalRef), 'updatedat'), formatTimestamp(at))
  }

  async remove(internalRef: string): Promise<void> {
    await rm(this.#path(internalRef), { recursive: true, force: true })
  }

  /** Removes ingests whose internal ref `wantedRefs` does not name. It is asked after the folder was read. */
  async sweep(wantedRefs: () => Iterable<string>): Promise<void> {
    for (const name of await this.#unwanted(wantedRefs))
      await rm(join(this.#folder, name), { recursive: true, force: true })
  }

  /** What {@link sweep} would remove: the names of folders, and the bytes of their data. */
  async stray(wantedRefs: () => Iterable<string>): Promise<FileSize[]> {
    const names = await this.#unwanted(wantedRefs)
    return names.map(name => {
      const data = statSync(join(this.#folder, name, 'data'), { throwIfNoEntry: false })
      return { name, sizeBytes: data?.size ?? 0 }
    })
  }

  async #unwanted(wantedRefs: () => Iterable<string>): Promise<string[]> {
    const found = await readdir(this.#folder)
    const wanted = new Set(Array.from(wantedRefs(), folderName))
    return found.filter(name => !wanted.has(name))
  }

  async #begin(folder: string, internalRef: string, totalBytes: number): Promise<void> {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    await writeFile(join(folder, 'ref'), internalRef)
    await writeFile(join(folder, 'data'), '')
    await writeFile(join(folder, 'total'), String(totalBytes))
    const startedAt = formatTimestamp(now())
    await writeFile(join(folder, 'updatedat'), startedAt)
    // Last: an ingest without it was cut off while being begun, and is begun again.
    await writeFile(join(folder, 'startedat'), startedAt)
  }

  #path(internalRef: string): string {
    return join(this.#folder, folderName(internalRef))
  }
}

function folderName(internalRef: string): string {
  return createHash('sha256').update(internalRef).digest('hex')
}
