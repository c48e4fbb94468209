/** Debian's unmodified containerd on private folders, ended with everything it made. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { patience } from '../daemon/patience.ts'
import { runCommand } from '../daemon/run-command.ts'
import { debian } from './ctr.ts'

const repo = join(import.meta.dirname, '..', '..')

export interface DebianContainerdOptions {
  /** `[proxy_plugins]` of type snapshot, by name: their sockets. */
  snapshotters?: Record<string, string>
  /** Where its folder is made. Default: the directory for temporary files. */
  home?: string
  /** argv before its own; it must end in an exec. */
  prefix?: readonly string[]
}

export class DebianContainerd implements AsyncDisposable {
  readonly folder: string
  readonly #prefix: readonly string[]
  #process: ChildProcess | undefined
  #log = ''

  private constructor(folder: string, prefix: readonly string[]) {
    this.folder = folder
    this.#prefix = prefix
  }

  static async start(options: DebianContainerdOptions = {}): Promise<DebianContainerd> {
    const { snapshotters = {}, home = tmpdir(), prefix = [] } = options
    const containerd = new DebianContainerd(await mkdtemp(join(home, 'dc-')), prefix)
    await writeFile(join(containerd.folder, 'config.toml'), configuration(containerd.folder, snapshotters))
    await containerd.start()
    return containerd
  }

  get address(): string {
    return join(this.folder, 'c.sock')
  }

  get pid(): number {
    return this.#process?.pid ?? 0
  }

  /** What it logged, the last 64 KiB. */
  get log(): string {
    return this.#log
  }

  /** Starts it (again) on the same folders; our shim is in its PATH. */
  async start(): Promise<void> {
    const path = [join(repo, 'build/bin'), process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin'].join(':')
    const [file = '', ...args] = [...this.#prefix, debian.containerd, '--config', join(this.folder, 'config.toml')]
    const child = spawn(file, args, {
      env: { ...process.env, PATH: path },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    this.#process = child
    child.stderr.on('data', (chunk: Buffer) => {
      this.#log = (this.#log + chunk.toString()).slice(-64 * 1024)
    })
    for (const deadline = Date.now() + 20_000 * patience; ; await sleep(50)) {
      const { code } = await runCommand([debian.ctr, '--address', this.address, '--connect-timeout', '1s', 'version'])
      if (code === 0) return
      if (Date.now() > deadline || child.exitCode !== null) throw new Error(`containerd did not come up:\n${this.#log}`)
    }
  }

  /** SIGKILL: what a crash is. */
  async kill(): Promise<void> {
    const child = this.#process
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
    await rm(this.folder, { recursive: true, force: true })
  }
}

/** Without the plugins that look at the host's devices or /opt; its btrfs snapshotter serves on a btrfs alone. */
function configuration(folder: string, snapshotters: Record<string, string>): string {
  const disabled = [
    'io.containerd.grpc.v1.cri',
    'io.containerd.internal.v1.opt',
    ...['aufs', 'devmapper', 'zfs'].map(name => `io.containerd.snapshotter.v1.${name}`),
  ]
  const proxies = Object.entries(snapshotters).map(
    ([name, address]) => `[proxy_plugins.${name}]\ntype = "snapshot"\naddress = ${JSON.stringify(address)}\n`,
  )
  return `version = 2
root = ${JSON.stringify(join(folder, 'root'))}
state = ${JSON.stringify(join(folder, 'state'))}
disabled_plugins = ${JSON.stringify(disabled)}

[grpc]
address = ${JSON.stringify(join(folder, 'c.sock'))}

${proxies.join('\n')}`
}
