/** Everyone who takes part in a run, each started when first asked for, on folders and a network of its own. */
import { mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { messageOf } from '#api/errors/errors.ts'
import { Account } from './account.ts'
import { DebianDocker } from './debian-docker.ts'
import { DockerSide, type Engine } from './docker-side.ts'
import { Gantry } from './gantry.ts'
import { busyboxArchive } from './images.ts'
import { PrivateHost } from './private-host.ts'

export type DockerName = 'gantry' | 'dockerd'

const engines: Record<DockerName, (host: PrivateHost, account: Account) => Promise<Engine>> = {
  gantry: (host, account) => Gantry.start(host, account),
  dockerd: (host, account) => DebianDocker.start(host, account),
}

export class Stage implements AsyncDisposable {
  /** For what rows need on disk; gone with the stage. */
  readonly folder = mkdtempSync(join(tmpdir(), 'gantry-bench-'))
  /** The short run: rows keep their shape and take smaller inputs. */
  readonly quick: boolean
  /** Peers that did not come up, and why. */
  readonly absent = new Map<string, string>()
  readonly #started = new Map<string, Promise<unknown>>()
  readonly #scope = new AsyncDisposableStack()

  constructor(options: { quick?: boolean } = {}) {
    this.quick = options.quick ?? false
    this.#scope.defer(() => rm(this.folder, { recursive: true, force: true }))
  }

  /** Those that came up, in this order, with `busybox` (stage/images.ts) loaded. Throws when we are among those that did not. */
  dockers(...names: DockerName[]): Promise<DockerSide[]> {
    return this.available(names, name => this.#docker(name))
  }

  /** One thing for the whole run: made at the first call, kept by `scope` until the end. */
  once<T>(key: string, make: (scope: AsyncDisposableStack) => Promise<T>): Promise<T> {
    const made = this.#started.get(key) ?? make(this.#scope)
    this.#started.set(key, made)
    return made as Promise<T>
  }

  /** What `start` makes of each name, without the peers for which it throws: why is in `absent`. */
  async available<N extends string, T>(names: readonly N[], start: (name: N) => Promise<T>): Promise<T[]> {
    const sides: T[] = []
    for (const name of names)
      try {
        sides.push(await start(name))
      } catch (cause) {
        if (name === 'gantry') throw cause
        this.absent.set(name, messageOf(cause).split('\n')[0] ?? '')
      }
    return sides
  }

  /** A network and an account for a side. */
  place(name: string): Promise<{ host: PrivateHost; account: Account }> {
    return this.once(`place ${name}`, async scope => ({
      account: scope.use(new Account(`/gantry-bench-${process.pid}/${name}`)),
      host: scope.use(await PrivateHost.create()),
    }))
  }

  #docker(name: DockerName): Promise<DockerSide> {
    return this.once(`docker ${name}`, async scope => {
      const { host, account } = await this.place(name)
      const engine = await engines[name](host, account)
      const side = scope.use(await DockerSide.over({ name, engine, host, account }))
      await side.ok('load', '--input', await this.once('busybox archive', () => busyboxArchive(this.folder)))
      return side
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#scope[Symbol.asyncDispose]()
  }
}
