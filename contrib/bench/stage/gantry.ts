/** Us: gantryd as it is installed (the bundles in build/), with its Docker gateway. */
import { existsSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { instanceOf } from '../../../cmd/gantryd/instance.ts'
import { Daemon } from '../../../test/daemon/daemon.ts'
import { patience } from '../../../test/daemon/patience.ts'
import type { Engine } from './docker-side.ts'
import type { Place } from './stage.ts'

export class Gantry implements Engine {
  readonly daemon: Daemon

  private constructor(daemon: Daemon) {
    this.daemon = daemon
  }

  static async start({ host, account }: Place): Promise<Gantry> {
    const gantry = new Gantry(
      await Daemon.start({
        built: process.env.GANTRY_BENCH_SOURCES === undefined,
        config: '[plugins.gateways.docker]\n',
        prefix: host.enter(account.enter([])),
      }),
    )
    await gantry.#served()
    account.include(`/${instanceOf(gantry.daemon).name}`, 'plugins')
    return gantry
  }

  get socket(): string {
    return join(this.daemon.state, 'docker.sock')
  }

  get pid(): number {
    return this.daemon.pid
  }

  stop(): Promise<void> {
    return this.daemon.stop()
  }

  async start(): Promise<void> {
    await this.daemon.start()
    await this.#served()
  }

  forgotten(digest: string): boolean {
    return !existsSync(join(this.daemon.root, 'content/blobs/sha256', digest.slice('sha256:'.length)))
  }

  /** gantryd serves before its gateway does. */
  async #served(): Promise<void> {
    for (const deadline = Date.now() + 20_000 * patience; !(await pinged(this.socket)); await sleep(5))
      if (Date.now() > deadline) throw new Error(`the Docker gateway did not come up:\n${this.daemon.log}`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.daemon[Symbol.asyncDispose]()
  }
}

function pinged(socketPath: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const sent = request({ socketPath, path: '/_ping', agent: false }, answer => {
    answer.resume().once('end', () => resolve(answer.statusCode === 200))
  })
  sent.once('error', () => resolve(false)).end()
  return promise
}
