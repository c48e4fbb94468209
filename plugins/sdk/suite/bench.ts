/** What each check of the snapshotter suite works with: a snapshotter of its own, and mounts that never stay behind. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ErrorCode, isGantryError } from '#api/errors/errors.ts'
import { mount, unmount } from '#api/sys/sys.ts'
import type { CommitOptions, Mount, SnapshotInfo, Snapshotter } from '../snapshotter.ts'
import { applySteps, type Step } from './tree-steps.ts'

/** Makes the snapshotter to be checked, keeping everything below `root`; called again on the same root after `close`. */
export type SnapshotterFactory = (root: string) => Promise<Snapshotter>

type Erase = (root: string) => Promise<void>

export interface BenchPlace {
  home?: string | undefined
  erase?: Erase | undefined
}

const rmAll: Erase = root => rm(root, { recursive: true, force: true })

export class Bench {
  readonly work: string
  readonly root: string
  snapshotter: Snapshotter
  readonly #home: string
  readonly #factory: SnapshotterFactory
  readonly #erase: Erase

  private constructor(home: string, factory: SnapshotterFactory, erase: Erase, snapshotter: Snapshotter) {
    this.#home = home
    this.#factory = factory
    this.#erase = erase
    this.root = join(home, 'root')
    this.work = join(home, 'work')
    this.snapshotter = snapshotter
  }

  /** Below `home`, an existing directory; `erase` deletes what the snapshotter's root holds. */
  static async open(
    factory: SnapshotterFactory,
    { home: where = tmpdir(), erase = rmAll }: BenchPlace = {},
  ): Promise<Bench> {
    await using undo = new AsyncDisposableStack()
    const home = await mkdtemp(join(where, 'gantry-snapshots-'))
    undo.defer(() => rm(home, { recursive: true, force: true }))
    for (const name of ['root', 'work']) mkdirSync(join(home, name), { mode: 0o700 })
    const bench = new Bench(home, factory, erase, await factory(join(home, 'root')))
    undo.move()
    return bench
  }

  /** Closes and opens anew on the same root, as a restart does. */
  async reopen(): Promise<void> {
    await this.snapshotter.close()
    this.snapshotter = await this.#factory(this.root)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.snapshotter.close()
    await this.#erase(this.root)
    await rm(this.#home, { recursive: true, force: true })
  }

  /** A new empty directory to mount on or to write to. */
  directory(prefix = 'dir-'): string {
    return mkdtempSync(join(this.work, prefix))
  }

  /** Mounts, calls back with the place, and takes the mount away whatever happens. */
  async mounted<T>(mounts: readonly Mount[], body: (place: string) => T | Promise<T>): Promise<T> {
    assert.ok(mounts.length > 0, 'a snapshot has at least one mount')
    const place = this.directory('mount-')
    await mount([...mounts], place)
    try {
      return await body(place)
    } finally {
      await unmount(place)
      await rm(place, { recursive: true })
    }
  }

  /** Prepares, applies `steps` inside the mount, commits; answers nothing: it is known as `name` then. */
  async layer(name: string, parent: string, steps: readonly Step[] = [], options?: CommitOptions): Promise<void> {
    const key = join(this.work, `${name}-being-made`)
    const mounts = await this.snapshotter.prepare(key, parent)
    await this.mounted(mounts, place => applySteps(place, steps))
    await this.snapshotter.commit(name, key, options)
  }

  /** Calls back with a read-only mount of a committed snapshot. */
  async viewed<T>(name: string, body: (place: string) => T | Promise<T>): Promise<T> {
    const key = `${name}-looked-at`
    const mounts = await this.snapshotter.view(key, name)
    try {
      return await this.mounted(mounts, body)
    } finally {
      await this.snapshotter.remove(key)
    }
  }

  async list(filters?: readonly string[]): Promise<SnapshotInfo[]> {
    const found: SnapshotInfo[] = []
    for await (const info of this.snapshotter.list(filters)) found.push(info)
    return found
  }
}

/** Expects a failure with that code, and words in its message. */
export async function refused(code: ErrorCode, call: Promise<unknown>, words?: RegExp): Promise<void> {
  await assert.rejects(call, (error: unknown) => {
    assert.ok(isGantryError(error), `expected ${code}, got ${String(error)}`)
    assert.equal(error.code, code, error.message)
    if (words) assert.match(error.message, words)
    return true
  })
}
