/** A gantryd with its Docker gateway on private folders, and the docker command that talks to it. */
import { existsSync } from 'node:fs'
import { mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Daemon } from '../daemon/daemon.ts'
import { patience } from '../daemon/patience.ts'
import { type CommandOutcome, runCommand } from '../daemon/run-command.ts'

/** GANTRY_TEST_DOCKER, or the newest docker command of the host: 28 where it was installed by hand, else Debian's. */
export const dockerCommand = [process.env.GANTRY_TEST_DOCKER ?? '', '/usr/local/bin/docker', '/usr/bin/docker'].find(
  path => path !== '' && existsSync(path),
)

const commandSeconds = 60 * patience

export class Docker implements AsyncDisposable {
  readonly daemon: Daemon

  private constructor(daemon: Daemon) {
    this.daemon = daemon
  }

  /** Ready when it resolves: its socket answers. */
  static async start(options: { config?: string; folder?: string } = {}): Promise<Docker> {
    const { config = '', folder } = options
    const table = config.includes('[plugins.gateways.docker]') ? '' : '[plugins.gateways.docker]\n'
    const docker = new Docker(await Daemon.start({ config: `${config}\n${table}`, ...(folder && { folder }) }))
    try {
      await docker.ready()
    } catch (error) {
      await docker.daemon[Symbol.asyncDispose]()
      throw error
    }
    return docker
  }

  get socket(): string {
    return join(this.daemon.state, 'docker.sock')
  }

  get folder(): string {
    return this.daemon.folder
  }

  /** Waits for the gateway, such as after its process was killed. */
  async ready(): Promise<void> {
    for (const deadline = Date.now() + 20_000 * patience; ; await sleep(50)) {
      const { code } = await runCommand([
        'curl',
        '-sf',
        '--max-time',
        '5',
        '--unix-socket',
        this.socket,
        'http://d/_ping',
      ])
      if (code === 0) return
      if (Date.now() > deadline) throw new Error(`the Docker gateway did not come up:\n${this.daemon.log}`)
    }
  }

  /** In the foreground: plain timeout(1) makes a process group of its own, which may not read from a terminal. */
  argv(...args: string[]): string[] {
    const limit = ['timeout', '--foreground', '--signal=KILL', `${commandSeconds}`]
    return [...limit, dockerCommand ?? 'docker', '--host', `unix://${this.socket}`, ...args]
  }

  /** Never throws for an exit code. */
  run(
    args: readonly string[],
    options: { stdin?: string; env?: Record<string, string> } = {},
  ): Promise<CommandOutcome> {
    return runCommand(this.argv(...args), {
      ...options,
      env: { DOCKER_CONFIG: join(this.folder, 'client'), ...options.env },
    })
  }

  /** Its standard output, trimmed; throws for an exit code that is not 0. */
  async ok(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(args)
    if (code !== 0)
      throw new Error(`docker ${args.join(' ')}: exit code ${code}: ${stderr}\n${this.daemon.log.slice(-2000)}`)
    return stdout.trim()
  }

  /** A request of the API, as curl makes it. */
  async request(method: string, path: string, body?: unknown): Promise<{ status: number; body: string }> {
    const data =
      body === undefined ? [] : ['-H', 'Content-Type: application/json', '--data-binary', JSON.stringify(body)]
    const head = method === 'HEAD' ? ['--head'] : ['-X', method]
    const { stdout } = await runCommand([
      ...['curl', '-s', '--globoff', '--max-time', '30', '--unix-socket', this.socket, ...head, ...data],
      ...['-w', '\n%{http_code}', `http://d${path}`],
    ])
    const at = stdout.lastIndexOf('\n')
    return { status: Number(stdout.slice(at + 1)), body: stdout.slice(0, at) }
  }

  /** `docker import` of a root with busybox and nothing else. */
  async importBusybox(name = 'busybox:test'): Promise<string> {
    const root = join(this.folder, 'rootfs')
    await mkdir(join(root, 'bin'), { recursive: true })
    await mkdir(join(root, 'tmp'), { recursive: true })
    await mkdir(join(root, 'etc'), { recursive: true })
    await writeFile(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n')
    await writeFile(join(root, 'etc/group'), 'root:x:0:\nnogroup:x:65534:\n')
    await runCommand(['cp', '/bin/busybox', join(root, 'bin/busybox')])
    const { stdout } = await runCommand(['/bin/busybox', '--list'])
    for (const applet of stdout.split('\n').filter(Boolean))
      if (applet !== 'busybox') await symlink('busybox', join(root, 'bin', applet))
    await runCommand(['tar', '-C', root, '-cf', join(this.folder, 'rootfs.tar'), '.'])
    await this.ok(
      'import',
      '--change',
      'CMD ["sh"]',
      '--change',
      'ENV PATH=/bin',
      join(this.folder, 'rootfs.tar'),
      name,
    )
    await rm(root, { recursive: true })
    return name
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ids = (await this.run(['ps', '-aq'])).stdout.split('\n').filter(id => id !== '')
    if (ids.length > 0) await this.run(['rm', '--force', '--volumes', ...ids])
    await this.daemon[Symbol.asyncDispose]()
  }
}
