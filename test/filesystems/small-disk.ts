/** A disk of its own for a test, small enough to fill: ext4 in a file behind a loop device. */
import { execFile } from 'node:child_process'
import { accessSync } from 'node:fs'
import { mkdir, mkdtemp, rm, statfs, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Why there can be none; false when there can. */
export async function lackingSmallDisk(): Promise<string | false> {
  if (process.getuid?.() !== 0) return 'needs root: it mounts'
  try {
    accessSync('/dev/loop-control')
    await run('losetup', ['--find'])
  } catch {
    return 'no loop devices here'
  }
  return run('mkfs.ext4', ['-V']).then(
    () => false as const,
    () => 'mkfs.ext4 is missing (Debian: e2fsprogs)',
  )
}

export class SmallDisk implements AsyncDisposable {
  /** Where it is mounted. */
  readonly path: string
  readonly #home: string

  private constructor(home: string) {
    this.#home = home
    this.path = join(home, 'fs')
  }

  static async make(sizeMiB: number): Promise<SmallDisk> {
    await using undo = new AsyncDisposableStack()
    const home = await mkdtemp(join(tmpdir(), 'gt-d'))
    undo.defer(() => rm(home, { recursive: true, force: true }))
    const disk = new SmallDisk(home)
    const image = join(home, 'image')
    await mkdir(disk.path)
    await writeFile(image, '')
    await truncate(image, sizeMiB * 1024 * 1024)
    await run('mkfs.ext4', ['-q', '-m', '0', image])
    // -o loop: the device goes with the last mount.
    await run('mount', ['-t', 'ext4', '-o', 'loop', image, disk.path])
    undo.move()
    return disk
  }

  async freeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(this.path)
    return bavail * bsize
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await run('umount', ['--lazy', this.path])
    await rm(this.#home, { recursive: true, force: true })
  }
}
