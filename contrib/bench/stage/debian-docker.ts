/** Debian's dockerd 20.10 with its defaults, on a containerd of its own. */
import { existsSync } from 'node:fs'
import { debian } from '../../../test/interop/ctr.ts'
import { DebianContainerd } from '../../../test/interop/debian-containerd.ts'
import { Dockerd, dockerFiles } from '../../../test/interop/dockerd.ts'
import type { Engine } from './docker-side.ts'
import type { Place } from './stage.ts'

export class DebianDocker implements Engine {
  readonly #dockerd: Dockerd
  readonly #containerd: DebianContainerd

  private constructor(dockerd: Dockerd, containerd: DebianContainerd) {
    this.#dockerd = dockerd
    this.#containerd = containerd
  }

  static async start({ host, account }: Place): Promise<DebianDocker> {
    const missing = [dockerFiles.dockerd, debian.containerd, debian.runcShim, debian.runc].filter(
      path => !existsSync(path),
    )
    if (missing.length > 0) throw new Error(`not installed: ${missing.join(', ')}`)
    const prefix = host.enter(account.enter([]))
    await using undo = new AsyncDisposableStack()
    const containerd = undo.use(await DebianContainerd.start({ prefix }))
    const options = { networks: true, prefix, cgroupParent: account.containers }
    const dockerd = undo.use(await Dockerd.start(containerd.address, options))
    undo.move()
    return new DebianDocker(dockerd, containerd)
  }

  get socket(): string {
    return this.#dockerd.socket
  }

  get pid(): number {
    return this.#dockerd.pid
  }

  stop(): Promise<void> {
    return this.#dockerd.stop()
  }

  start(): Promise<void> {
    return this.#dockerd.start()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#dockerd[Symbol.asyncDispose]()
    await this.#containerd[Symbol.asyncDispose]()
  }
}
