/** The Python snapshotter beside this file as a process, for as long as a test uses it. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { patience } from '../../daemon/patience.ts'

const repo = join(import.meta.dirname, '../../..')

/** What it needs: Debian's interpreter, for which Debian's grpcio is. */
export const pythonFiles = [
  '/usr/bin/python3',
  '/usr/lib/python3/dist-packages/grpc',
  '/usr/lib/python3/dist-packages/google/protobuf',
]

/** One call, as it saw it. */
export interface SeenCall {
  method: string
  key: string
  labels: Record<string, string>
}

export class PythonSnapshotter implements AsyncDisposable {
  readonly #folder: string
  #process: ChildProcess | undefined

  private constructor(folder: string) {
    this.#folder = folder
  }

  /** `ready`: layers it has, by chainID the folder with the tree. */
  static async start(ready: Record<string, string> = {}): Promise<PythonSnapshotter> {
    const snapshotter = new PythonSnapshotter(await mkdtemp(join(tmpdir(), 'py-')))
    execFileSync(join(repo, 'node_modules/.bin/buf'), ['build', '--output', snapshotter.#at('api.binpb')], {
      cwd: repo,
    })
    await writeFile(snapshotter.#at('ready.json'), JSON.stringify(ready))
    await writeFile(snapshotter.#at('calls'), '')
    await snapshotter.#start()
    return snapshotter
  }

  get address(): string {
    return this.#at('sn.sock')
  }
  get root(): string {
    return this.#at('root')
  }

  #at(name: string): string {
    return join(this.#folder, name)
  }

  async calls(): Promise<SeenCall[]> {
    const lines = (await readFile(this.#at('calls'), 'utf8')).trim().split('\n')
    return lines.filter(line => line !== '').map(line => JSON.parse(line) as SeenCall)
  }

  async #start(): Promise<void> {
    const files = [this.address, this.root, ...['api.binpb', 'ready.json', 'calls'].map(name => this.#at(name))]
    const child = spawn('/usr/bin/python3', ['-I', join(import.meta.dirname, 'snapshotter.py'), ...files], {
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    this.#process = child
    for (const deadline = Date.now() + 20_000 * patience; !existsSync(this.address); await sleep(20))
      if (Date.now() > deadline || child.exitCode !== null) throw new Error('snapshotter.py did not come up')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const child = this.#process
    if (child !== undefined && child.exitCode === null) {
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
    }
    await rm(this.#folder, { recursive: true, force: true })
  }
}
