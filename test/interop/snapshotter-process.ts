/** One of our snapshotters as a process of its own, without gantryd: its environment is the whole contract. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { patience } from '../daemon/patience.ts'

const folderOf = join(import.meta.dirname, '../../plugins/snapshotters')

export interface SnapshotterChoice {
  id?: string
  /** Where its folders are made, which are then left to go with it. Default: the directory for temporary files. */
  home?: string | undefined
}

export class SnapshotterProcess implements AsyncDisposable {
  readonly #folder: string
  readonly #id: string
  readonly #leave: boolean
  #process: ChildProcess | undefined

  private constructor(folder: string, id: string, leave: boolean) {
    this.#folder = folder
    this.#id = id
    this.#leave = leave
  }

  static async start({ id = 'overlayfs', home }: SnapshotterChoice = {}): Promise<SnapshotterProcess> {
    const folder = await mkdtemp(join(home ?? tmpdir(), 'sn-'))
    const plugin = new SnapshotterProcess(folder, id, home !== undefined)
    await plugin.start()
    return plugin
  }

  get address(): string {
    return join(this.#folder, 'sn.sock')
  }
  get root(): string {
    return join(this.#folder, 'root')
  }

  /** Starts it (again) on the same folders. */
  async start(): Promise<void> {
    const main = join(folderOf, this.#id, 'main.ts')
    const child = spawn(process.execPath, [main], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: {
        ...process.env,
        GANTRY_PLUGIN_ID: this.#id,
        GANTRY_PLUGIN_KIND: 'snapshotter',
        GANTRY_PLUGIN_ADDRESS: this.address,
        GANTRY_PLUGIN_ROOT: this.root,
        GANTRY_PLUGIN_STATE: join(this.#folder, 'state'),
        GANTRY_PLUGIN_CONFIG: '{}',
        GANTRY_INSTANCE: '00000000',
        GANTRY_LOG_LEVEL: 'warn',
      },
    })
    this.#process = child
    for (const deadline = Date.now() + 20_000 * patience; !existsSync(this.address); await sleep(20))
      if (Date.now() > deadline || child.exitCode !== null) throw new Error(`${main} did not come up`)
  }

  async stop(): Promise<void> {
    const child = this.#process
    if (child === undefined || child.exitCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGTERM')
    await ended
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
    // Read-only subvolumes go with their file system.
    if (!this.#leave) await rm(this.#folder, { recursive: true, force: true })
  }
}
