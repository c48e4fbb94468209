/**
 * A real gantryd on private folders, for tests and benchmarks: started as users start it, ended with everything it
 * made. Also the `gctr` that talks to it.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { VersionDefinition } from '#api/gen/containerd/services/version/v1/version.ts'
import { connect, createClient } from '#api/rpc/client.ts'
import { busyboxLayer, layoutTar, makeImage } from '../fixtures/make-image.ts'
import { patience } from './patience.ts'
import { type CommandOutcome, runCommand } from './run-command.ts'

const repo = join(import.meta.dirname, '..', '..')
const startMs = 20_000 * patience
const stopMs = 15_000 * patience

export interface DaemonOptions {
  /** The bundles in build/ instead of the sources. Default: GANTRY_TEST_BUILT is set. */
  built?: boolean
  /** TOML, beside root and state. Without a table for gateways the Docker gateway is off: few tests need the process. */
  config?: string
  /** Folder to use again, from a daemon that was stopped or killed. */
  folder?: string
  env?: Record<string, string>
  /** argv before its own, such as what enters a network namespace. It must end in an exec: the pid is the daemon's. */
  prefix?: readonly string[]
}

export class Daemon implements AsyncDisposable {
  readonly folder: string
  readonly #options: DaemonOptions
  #process: ChildProcess | undefined

  private constructor(folder: string, options: DaemonOptions) {
    this.folder = folder
    this.#options = options
  }

  /** Ready to serve when it resolves; throws with the log when it is not within 20 s (times patience). */
  static async start(options: DaemonOptions = {}): Promise<Daemon> {
    const daemon = new Daemon(options.folder ?? (await mkdtemp(join(tmpdir(), 'gt-'))), options)
    await daemon.start()
    return daemon
  }

  get root(): string {
    return join(this.folder, 'lib')
  }
  get state(): string {
    return join(this.folder, 'run')
  }
  get address(): string {
    return join(this.state, 'gantryd.sock')
  }
  get pid(): number {
    return this.#process?.pid ?? 0
  }

  /** Starts it (again) on the same folders. */
  async start(): Promise<void> {
    await writeFile(join(this.folder, 'config.toml'), configText(this.#options.config ?? ''))
    const [file = '', ...args] = [...(this.#options.prefix ?? []), ...this.#executable('gantryd')]
    const flags = ['--root', this.root, '--state', this.state, '--config', join(this.folder, 'config.toml')]
    this.#process = spawn(file, [...args, ...flags], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, ...this.#options.env },
    })
    this.#process.stderr?.on('data', chunk => void this.#remember(chunk))
    await this.#ready()
  }

  #log = ''
  #remember(chunk: Buffer): void {
    this.#log = (this.#log + chunk.toString()).slice(-64 * 1024)
  }
  /** The last 64 KiB of what it logged. */
  get log(): string {
    return this.#log
  }

  async #ready(): Promise<void> {
    const deadline = Date.now() + startMs
    using channel = connect(this.address)
    const client = createClient(VersionDefinition, channel)
    for (;;) {
      try {
        await client.version({}, { deadlineMs: 2000 * patience })
        return
      } catch (cause) {
        const gone = this.#process?.exitCode !== null
        if (gone || Date.now() > deadline) throw new Error(`gantryd did not come up; it said:\n${this.#log}`, { cause })
        await sleep(20)
      }
    }
  }

  /** argv of a gctr that talks to this daemon. */
  gctr(...args: string[]): string[] {
    return [...this.#executable('gctr'), '--address', this.address, ...args]
  }

  /** Runs gctr; never throws for an exit code. */
  run(...args: string[]): Promise<CommandOutcome> {
    return runCommand(this.gctr(...args))
  }

  #executable(name: 'gantryd' | 'gctr'): string[] {
    const built = this.#options.built ?? process.env.GANTRY_TEST_BUILT !== undefined
    // After `--` Node takes no option for its own, such as --env-file.
    return built ? [join(repo, 'build/bin', name)] : [process.execPath, '--', join(repo, 'cmd', name, 'main.ts')]
  }

  /** Puts a busybox image into the `default` namespace, unpacked, and answers its name. */
  async importBusybox(name = 'test.example/busybox:1'): Promise<string> {
    const file = join(this.folder, 'busybox.tar')
    const image = makeImage({ layers: [busyboxLayer()], config: { Cmd: ['sh'], Env: ['PATH=/bin'] } })
    await writeFile(file, layoutTar([{ image, name }]))
    const outcome = await this.run('images', 'import', file)
    if (outcome.code !== 0) throw new Error(`import failed: ${outcome.stderr}\n${this.log}`)
    return name
  }

  /** SIGTERM, and its exit. Containers go on. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM')
  }

  /** SIGKILL: what a crash is. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill(signal)
    const late = Symbol('late')
    if ((await Promise.race([ended, sleep(stopMs, late, { ref: false })])) !== late) return
    child.kill('SIGKILL')
    await ended
    throw new Error(`gantryd did not end within ${stopMs} ms of ${signal}; it said:\n${this.#log}`)
  }

  /** Ends every container, networks and all, then the daemon, then the folders. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process === undefined || this.#process.exitCode !== null || this.#process.signalCode !== null)
      await this.start()
    const { stdout } = await this.run('--format', 'json', 'namespaces', 'ls')
    for (const { name } of JSON.parse(stdout || '[]') as { name: string }[]) await this.#empty(name)
    await this.stop()
    if (this.#options.folder === undefined) await rm(this.folder, { recursive: true, force: true })
  }

  async #empty(namespace: string): Promise<void> {
    for (const id of await this.#lines('-n', namespace, 'containers', 'ls', '-q'))
      await this.run('-n', namespace, 'containers', 'rm', '--force', id)
    for (const network of await this.#lines('-n', namespace, 'networks', 'ls', '-q'))
      await this.run('-n', namespace, 'networks', 'rm', network)
  }

  async #lines(...args: string[]): Promise<string[]> {
    const { stdout } = await this.run(...args)
    return stdout.split('\n').filter(line => line !== '')
  }

  /** What is in a file under the daemon's folder. */
  read(...path: string[]): Promise<string> {
    return readFile(join(this.folder, ...path), 'utf8')
  }
}

function configText(config: string): string {
  return config.includes('[plugins.gateways.') ? config : `${config}\n[plugins.gateways.docker]\ndisabled = true\n`
}
