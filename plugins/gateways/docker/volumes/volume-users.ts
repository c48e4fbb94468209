/**
 * Who has a volume mounted: one empty file per user, in a folder per volume that goes with the machine's boot, as mounts do. It
 * is written before the mount and removed after the unmount: what is not listed is not mounted.
 */
import { mkdir, readdir, rm, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

export class VolumeUsers {
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
  }

  async of(volume: string): Promise<string[]> {
    return readdir(join(this.#folder, volume)).catch(() => [])
  }

  /** Volume and user, of all. */
  async all(): Promise<{ volume: string; user: string }[]> {
    const volumes = await readdir(this.#folder).catch(() => [])
    const lists = await Promise.all(
      volumes.map(async volume => (await this.of(volume)).map(user => ({ volume, user }))),
    )
    return lists.flat()
  }

  async add(volume: string, user: string): Promise<void> {
    const folder = join(this.#folder, volume)
    await mkdir(folder, { recursive: true, mode: 0o700 })
    await writeFile(join(folder, user), '')
  }

  async remove(volume: string, user: string): Promise<void> {
    await rm(join(this.#folder, volume, user), { force: true })
    await rmdir(join(this.#folder, volume)).catch(() => {})
  }

  async removeAll(volume: string): Promise<void> {
    await rm(join(this.#folder, volume), { recursive: true, force: true })
  }
}
