/** Debian's podman: its command, which is all of it, and its service, which speaks Docker's API. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { patience } from '../../../test/daemon/patience.ts'
import { Podman, podmanFiles } from '../../../test/interop/podman.ts'
import type { Side } from '../row.ts'
import { command } from '../run-command.ts'
import type { Place, Stage } from './stage.ts'

/** As Debian's own list: a bridge, published ports, firewall. */
const lists = {
  podman: {
    cniVersion: '0.4.0',
    name: 'podman',
    plugins: [
      {
        ...{ type: 'bridge', bridge: 'cni-podman0', isGateway: true, ipMasq: true, hairpinMode: true },
        ipam: {
          type: 'host-local',
          routes: [{ dst: '0.0.0.0/0' }],
          ranges: [[{ subnet: '10.88.0.0/16', gateway: '10.88.0.1' }]],
        },
      },
      { type: 'portmap', capabilities: { portMappings: true } },
      { type: 'firewall' },
      { type: 'tuning' },
    ],
  },
}

export class PodmanSide implements Side, AsyncDisposable {
  readonly name = 'podman'
  readonly account: Place['account']
  readonly #host: Place['host']
  readonly #podman: Podman

  private constructor({ host, account }: Place) {
    this.#host = host
    this.account = account
    this.#podman = new Podman({ binaries: ['/usr/lib/cni'], lists, storage: 'overlay' })
  }

  /** Throws when podman does not come up here. `busybox` is loaded. */
  static async start(stage: Stage): Promise<PodmanSide> {
    const missing = [podmanFiles.podman, podmanFiles.conmon, podmanFiles.runc].filter(path => !existsSync(path))
    if (missing.length > 0) throw new Error(`not installed: ${missing.join(', ')}`)
    return stage.once('podman', async scope => {
      const side = scope.use(new PodmanSide(await stage.place('podman', scope)))
      await side.command('load', '--input', await stage.archive())
      return side
    })
  }

  /** In the side's network and account: the command is the daemon. */
  argv(...args: string[]): string[] {
    return this.#host.enter(this.account.enter(this.#podman.argv(...args)))
  }

  command(...args: string[]): Promise<undefined> {
    return command(this.argv(...args), { env: this.#podman.env })
  }

  /** `podman run`, its container's cgroup among those that are counted. */
  run(...args: string[]): Promise<undefined> {
    return this.command('run', '--cgroup-parent', this.account.containers, ...args)
  }

  get host(): Place['host'] {
    return this.#host
  }

  get env(): Readonly<Record<string, string>> {
    return this.#podman.env
  }

  /** `podman system service` on a socket, counted apart from the commands; ended by `scope`. */
  async serve(stage: Stage, scope: AsyncDisposableStack): Promise<Side & { socket: string }> {
    const socket = join(this.#podman.folder, 'podman.sock')
    const account = stage.account('podman-service', scope)
    const service = this.#podman.argv('system', 'service', '--time', '0', `unix://${socket}`)
    const [file = '', ...args] = this.#host.enter(account.enter(service))
    const child = spawn(file, args, { stdio: 'ignore', env: { ...process.env, ...this.#podman.env } })
    scope.defer(async () => {
      const ended = once(child, 'exit')
      if (child.kill('SIGKILL')) await ended
    })
    for (const deadline = Date.now() + 20_000 * patience; !existsSync(socket); await sleep(20))
      if (Date.now() > deadline || child.exitCode !== null) throw new Error('podman system service did not come up')
    return { name: 'podman service', account, socket }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#podman[Symbol.asyncDispose]()
  }
}
