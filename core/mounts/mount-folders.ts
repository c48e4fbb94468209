/** Mount points on disk: `<folder>/<sequence>/<position>`. Nothing here ever empties a folder: what is mounted stays whole. */
import { mkdir, readdir, readFile, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { refusedMount } from '#api/sys/refused-mount.ts'
import { isSysError, mount as performMounts, unmount } from '#api/sys/sys.ts'
import type { Mount } from '#api/types/mount.ts'
import { type ActiveMountRecord, now } from '#core/metadata/metadata.ts'

export class MountFolders {
  readonly #folder: string

  private constructor(folder: string) {
    this.#folder = folder
  }

  static async open(folder: string): Promise<MountFolders> {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    return new MountFolders(folder)
  }

  /** Performs one mount at its place. */
  async mount(sequence: number, position: number, mount: Mount): Promise<ActiveMountRecord> {
    const mountPoint = join(this.#folder, String(sequence), String(position))
    await mkdir(mountPoint, { recursive: true, mode: 0o700 })
    await performMounts([mount], mountPoint).catch(refusedMount)
    return { mount, mountPoint, mountedAt: now(), data: {} }
  }

  /** Unmounts what is mounted for an activation, last first, and removes the empty mount points. */
  async release(sequence: number): Promise<void> {
    const folder = join(this.#folder, String(sequence))
    const positions = (await names(folder)).map(Number).sort((a, b) => b - a)
    for (const position of positions) {
      const mountPoint = join(folder, String(position))
      await unmount(mountPoint, { recursive: true })
      await rmdir(mountPoint)
    }
    await rmdir(folder).catch(ignoreAbsent)
  }

  /** Numbers of activations there are folders for. */
  async sequences(): Promise<number[]> {
    return (await names(this.#folder)).map(Number).filter(Number.isSafeInteger)
  }

  /** True when each of them is in the mount table. */
  static async areMounted(active: readonly ActiveMountRecord[]): Promise<boolean> {
    const table = await readFile('/proc/self/mountinfo', 'utf8')
    const points = new Set(table.split('\n').map(line => line.split(' ')[4]))
    return active.every(({ mountPoint }) => points.has(mountPoint))
  }
}

async function names(folder: string): Promise<string[]> {
  return await readdir(folder).catch(error => {
    ignoreAbsent(error)
    return []
  })
}

function ignoreAbsent(error: unknown): void {
  if (!isSysError(error, 'ENOENT')) throw error
}
