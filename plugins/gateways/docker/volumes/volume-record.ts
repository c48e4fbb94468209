/**
 * Volumes on disk, as Docker lays them out: `<root>/volumes/<name>/_data` holds the data, and people know it. Beside it
 * lies `volume.json`, which is what makes the directory a volume: written last, and taken away first. Of a plugin's volume there
 * is nothing but the record.
 */
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fsyncDir } from '#api/sys/sys.ts'

export interface VolumeRecord {
  name: string
  driver: string
  /** As asked for; null: none were given. */
  options: Readonly<Record<string, string>> | null
  labels: Readonly<Record<string, string>> | null
  /** Id of the container with --rm that it was made for, and goes with, whoever notices. */
  goesWith?: string
  /** RFC 3339, without fractions, as Docker writes it. */
  createdAt: string
}

const recordFile = 'volume.json'

export class VolumeStore {
  readonly #folder: string

  constructor(root: string) {
    this.#folder = join(root, 'volumes')
  }

  folderOf(name: string): string {
    return join(this.#folder, name)
  }

  dataOf(name: string): string {
    return join(this.#folder, name, '_data')
  }

  /** By name. */
  async list(): Promise<VolumeRecord[]> {
    const names = await readdir(this.#folder).catch(ifMissing([]))
    const records = await Promise.all(names.map(name => this.get(name)))
    return records.filter(record => record !== undefined).toSorted((a, b) => (a.name < b.name ? -1 : 1))
  }

  async get(name: string): Promise<VolumeRecord | undefined> {
    const text = await readFile(join(this.folderOf(name), recordFile), 'utf8').catch(ifMissing(undefined))
    if (text === undefined) return undefined
    return JSON.parse(text) as VolumeRecord
  }

  /** The volume is there, on stable storage, when this resolves. */
  async put(record: VolumeRecord): Promise<void> {
    const folder = this.folderOf(record.name)
    // Docker's modes: what is in a volume is the container's business, who gets this far is root's.
    await mkdir(this.#folder, { recursive: true, mode: 0o701 })
    await mkdir(folder, { recursive: true, mode: 0o701 })
    if (record.driver === 'local') await mkdir(this.dataOf(record.name), { recursive: true, mode: 0o755 })
    const aside = join(folder, `.${recordFile}`)
    await writeFile(aside, `${JSON.stringify(record)}\n`, { mode: 0o600, flush: true })
    await rename(aside, join(folder, recordFile))
    await fsyncDir(folder)
    await fsyncDir(this.#folder)
  }

  /** Repeated after a crash it takes away what was left. */
  async remove(name: string): Promise<void> {
    const folder = this.folderOf(name)
    await rm(join(folder, recordFile), { force: true })
    await rm(folder, { recursive: true, force: true })
  }

  /** Directories without a record: volumes whose making or removal was cut short. */
  async sweep(): Promise<void> {
    for (const name of await readdir(this.#folder).catch(ifMissing([])))
      if ((await this.get(name)) === undefined) await rm(this.folderOf(name), { recursive: true, force: true })
  }
}

function ifMissing<T>(otherwise: T) {
  return (error: NodeJS.ErrnoException): T => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return otherwise
    throw error
  }
}
