/** Debian's dockerd 20.10 on a containerd socket that is ours: private folders, a network namespace of its own. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, rmdir, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { patience } from '../daemon/patience.ts'
import { type CommandOutcome, runCommand } from '../daemon/run-command.ts'
import { removeCgroup } from './ctr.ts'

export const dockerFiles = { dockerd: '/usr/sbin/dockerd', docker: '/usr/bin/docker' } as const

const cgroup = `interop-docker-${process.pid}`

export interface DockerdOptions {
  /** With its bridge and its iptables, in its own network namespace; without: `none` and `host` alone. */
  networks?: boolean
  /** argv that enters its network namespace and ends in an exec; default: one of its own. */
  prefix?: readonly string[]
  /** Where its containers' cgroups go; default: one that goes with this object. */
  cgroupParent?: string
}

const ownNetwork = ['unshare', '--net', 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh']

export class Dockerd implements AsyncDisposable {
  readonly folder: string
  readonly #containerd: string
  readonly #options: DockerdOptions
  #process: ChildProcess | undefined
  #log = ''

  // Places outside its folders that dockerd makes and no flag moves.
  readonly #strays = ['/etc/docker/key.json', '/etc/docker', '/run/docker/plugins', '/run/docker'].filter(
    path => !existsSync(path),
  )

  private constructor(folder: string, containerd: string, options: DockerdOptions) {
    this.folder = folder
    this.#containerd = containerd
    this.#options = options
  }

  /** `containerd`: the socket. */
  static async start(containerd: string, options: DockerdOptions = {}): Promise<Dockerd> {
    const dockerd = new Dockerd(await mkdtemp(join(tmpdir(), 'dk-')), containerd, options)
    await writeFile(join(dockerd.folder, 'daemon.json'), '{}')
    try {
      await dockerd.start()
    } catch (error) {
      await dockerd[Symbol.asyncDispose]()
      throw error
    }
    return dockerd
  }

  async start(): Promise<void> {
    const at = (name: string) => join(this.folder, name)
    const flags = [
      ...['--containerd', this.#containerd, '--config-file', at('daemon.json'), '--host', this.#host],
      ...['--data-root', at('root'), '--exec-root', at('exec'), '--pidfile', at('pid')],
      ...['--cgroup-parent', this.#options.cgroupParent ?? `/${cgroup}`, '--ip6tables=false'],
      ...(this.#options.networks ? [] : ['--bridge=none', '--iptables=false']),
    ]
    const [file = '', ...args] = [...(this.#options.prefix ?? ownNetwork), dockerFiles.dockerd, ...flags]
    const child = spawn(file, args, { stdio: ['ignore', 'ignore', 'pipe'] })
    this.#process = child
    child.stderr.on('data', (chunk: Buffer) => {
      this.#log = (this.#log + chunk.toString()).slice(-64 * 1024)
    })
    for (const deadline = Date.now() + 20_000 * patience; ; await sleep(100)) {
      if ((await this.outcome(['version'])).code === 0) return
      if (Date.now() > deadline || child.exitCode !== null) throw new Error(`dockerd did not come up:\n${this.#log}`)
    }
  }

  get pid(): number {
    return this.#process?.pid ?? 0
  }

  get socket(): string {
    return join(this.folder, 'docker.sock')
  }

  get #host(): string {
    return `unix://${this.socket}`
  }

  argv(...args: string[]): string[] {
    return [
      'timeout',
      '--foreground',
      '--signal=KILL',
      `${30 * patience}`,
      dockerFiles.docker,
      '--host',
      this.#host,
      ...args,
    ]
  }

  /** `docker` on it; never throws for an exit code. */
  outcome(args: string[], options: { stdin?: string } = {}): Promise<CommandOutcome> {
    return runCommand(this.argv(...args), { ...options, env: { DOCKER_CONFIG: join(this.folder, 'client') } })
  }

  /** Its standard output, trimmed; throws for an exit code that is not 0. */
  async ok(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.outcome(args)
    if (code !== 0) throw new Error(`docker ${args.join(' ')}: exit code ${code}: ${stderr}\n${this.#log.slice(-2000)}`)
    return stdout.trim()
  }

  /** `docker import` of a root with busybox and nothing else. */
  async importBusybox(name = 'busybox:test'): Promise<string> {
    const root = join(this.folder, 'rootfs')
    await mkdir(join(root, 'bin'), { recursive: true })
    await runCommand(['cp', '/bin/busybox', join(root, 'bin/busybox')])
    for (const applet of ['sh', 'sleep', 'echo', 'cat', 'true', 'tty', 'id'])
      await symlink('busybox', join(root, 'bin', applet))
    await runCommand(['tar', '-C', root, '-cf', join(this.folder, 'rootfs.tar'), '.'])
    await this.ok('import', join(this.folder, 'rootfs.tar'), name)
    return name
  }

  async stop(): Promise<void> {
    const child = this.#process
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGTERM')
    await ended
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ids = (await this.outcome(['ps', '-aq'])).stdout.split('\n').filter(id => id !== '')
    if (ids.length > 0) await this.outcome(['rm', '--force', ...ids])
    await this.stop()
    // dockerd leaves its pins of network namespaces.
    const mounts = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n').map(line => line.split(' ')[4] ?? '')
    for (const mount of mounts.filter(path => path.startsWith(`${this.folder}/`)).reverse())
      await runCommand(['umount', mount])
    await removeCgroup(cgroup)
    await rm(this.folder, { recursive: true, force: true })
    for (const path of this.#strays)
      await (path.endsWith('.json') ? rm(path, { force: true }) : rmdir(path).catch(() => {}))
  }
}
