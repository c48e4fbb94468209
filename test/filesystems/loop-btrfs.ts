/** A btrfs of its own for a test, in a file behind a loop device. */
import { execFile } from 'node:child_process'
import { accessSync, readFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { patience } from '../daemon/patience.ts'

const run = promisify(execFile)

/** Why there can be no such file system here; false when there can. */
export async function lackingBtrfs(): Promise<string | false> {
  if (process.getuid?.() !== 0) return 'needs root: it mounts'
  if (!/\bbtrfs$/m.test(readFileSync('/proc/filesystems', 'utf8'))) return 'the kernel has no btrfs'
  try {
    accessSync('/dev/loop-control')
    await run('losetup', ['--find'])
  } catch {
    return 'no loop devices here'
  }
  return run('mkfs.btrfs', ['--version']).then(
    () => false as const,
    () => 'mkfs.btrfs is missing (Debian: btrfs-progs)',
  )
}

export class LoopBtrfs implements AsyncDisposable {
  /** Where it is mounted. */
  readonly path: string
  readonly #home: string

  private constructor(home: string) {
    this.#home = home
    this.path = join(home, 'fs')
  }

  /** `sizeMiB` is address space: the file is sparse. */
  static async make(sizeMiB = 512): Promise<LoopBtrfs> {
    await using undo = new AsyncDisposableStack()
    const home = await mkdtemp(join(tmpdir(), 'gantry-btrfs-'))
    undo.defer(() => rm(home, { recursive: true, force: true }))
    const made = new LoopBtrfs(home)
    await mkdir(made.path)
    await writeFile(made.#image, '')
    await truncate(made.#image, sizeMiB * 1024 * 1024)
    await run('mkfs.btrfs', ['--quiet', made.#image])
    // -o loop: the device goes with the last mount.
    await run('mount', ['-t', 'btrfs', '-o', 'loop', made.#image, made.path])
    undo.move()
    return made
  }

  get #image(): string {
    return join(this.#home, 'image')
  }

  /** Ends when the loop device is free again. */
  async [Symbol.asyncDispose](): Promise<void> {
    await run('umount', [this.path]).catch(() => run('umount', ['--lazy', this.path]))
    const deadline = Date.now() + 20_000 * patience
    while ((await run('losetup', ['--associated', this.#image])).stdout !== '') {
      if (Date.now() > deadline) throw new Error(`a loop device keeps ${this.#image}: something is still mounted of it`)
      await sleep(50)
    }
    await rm(this.#home, { recursive: true, force: true })
  }
}
