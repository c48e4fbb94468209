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

/** Where a side runs. */
export interface Place {
  readonly host: PrivateHost
  readonly account: Account
}

const engines: Record<DockerName, (place: Place) => Promise<Engine>> = {
  gantry: Gantry.start,
  dockerd: DebianDocker.start,
}

export class Stage implements AsyncDisposable {
  /** For what rows need on disk; gone with the stage. */
  readonly folder = mkdtempSync(join(tmpdir(), 'gantry-bench-'))
  /** Rows keep their shape and take smaller inputs. */
  readonly small: boolean
  /** Peers that did not come up, and why. */
  readonly absent = new Map<string, string>()
  readonly #made = new Map<string, Promise<unknown>>()
  readonly #scope = new AsyncDisposableStack()
  #places = 0

  constructor(options: { small?: boolean } = {}) {
    this.small = options.small ?? false
    this.#scope.defer(() => rm(this.folder, { recursive: true, force: true }))
  }

  /** Those that came up, in this order, with `busybox` (stage/images.ts) loaded. Throws when we are among those that did not. */
  dockers(...names: DockerName[]): Promise<DockerSide[]> {
    return this.available(names, name => this.once(`docker ${name}`, scope => this.#docker(name, scope)))
  }

  /** The same daemons anew, with nothing on them that other rows left, until `scope` ends. */
  freshDockers(scope: AsyncDisposableStack, ...names: DockerName[]): Promise<DockerSide[]> {
    return this.available(names, name => this.#docker(name, scope))
  }

  /** One thing for the whole run: made at the first call, kept by `scope` until the end. */
  once<T>(key: string, make: (scope: AsyncDisposableStack) => Promise<T>): Promise<T> {
    const made = this.#made.get(key) ?? make(this.#scope)
    this.#made.set(key, made)
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

  /** Ends with the stage at the latest. */
  scope(): AsyncDisposableStack {
    return this.#scope.use(new AsyncDisposableStack())
  }

  /** A network and an account for a side. */
  async place(name: string, scope: AsyncDisposableStack): Promise<Place> {
    return { account: this.account(name, scope), host: scope.use(await PrivateHost.create()) }
  }

  account(name: string, scope: AsyncDisposableStack): Account {
    return scope.use(new Account(`/gantry-bench-${process.pid}/${name}-${this.#places++}`))
  }

  /** Path of a file with the image `busybox`, as `docker save` of old wrote it. */
  archive(): Promise<string> {
    return this.once('busybox archive', () => busyboxArchive(this.folder))
  }

  async #docker(name: DockerName, scope: AsyncDisposableStack): Promise<DockerSide> {
    const place = await this.place(name, scope)
    const side = scope.use(await DockerSide.over({ name, engine: await engines[name](place), ...place }))
    await side.ok('load', '--input', await this.archive())
    return side
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#scope[Symbol.asyncDispose]()
  }
}
