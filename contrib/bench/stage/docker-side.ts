/** A daemon that speaks Docker's API, asked by one and the same unmodified docker command. */
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runCommand } from '../../../test/daemon/run-command.ts'
import type { Side } from '../row.ts'
import { command } from '../run-command.ts'
import type { Account } from './account.ts'
import type { PrivateHost } from './private-host.ts'

/** GANTRY_BENCH_DOCKER, or Debian's, of the same age as its dockerd. */
export const dockerCommand = process.env.GANTRY_BENCH_DOCKER ?? '/usr/bin/docker'

/** What starts and ends the daemon; `DockerSide` is the client's half. */
export interface Engine extends AsyncDisposable {
  readonly socket: string
  /** Of the daemon that listens. */
  readonly pid: number
  /** Ends it; containers go on where the daemon lets them. */
  stop(): Promise<void>
  /** Starts it again on the same folders; it serves when this resolves. */
  start(): Promise<void>
  /** Whether nothing is left of a blob of an image that was removed; absent: it is gone with the answer. */
  forgotten?(digest: string): boolean
}

export interface DockerSideParts {
  name: string
  engine: Engine
  host: PrivateHost
  account: Account
}

export class DockerSide implements Side, AsyncDisposable {
  readonly name: string
  readonly engine: Engine
  readonly host: PrivateHost
  readonly account: Account
  readonly #config: string

  private constructor({ name, engine, host, account }: DockerSideParts, config: string) {
    this.name = name
    this.engine = engine
    this.host = host
    this.account = account
    this.#config = config
  }

  static async over(parts: DockerSideParts): Promise<DockerSide> {
    if (!existsSync(dockerCommand)) throw new Error(`${dockerCommand} is not installed (docker.io)`)
    const config = await mkdtemp(join(tmpdir(), 'gbc-'))
    await writeFile(join(config, 'config.json'), '{}')
    return new DockerSide(parts, config)
  }

  /** Clients need no more of it than its socket. */
  get socket(): string {
    return this.engine.socket
  }

  get env(): Record<string, string> {
    return { DOCKER_CONFIG: this.#config, DOCKER_BUILDKIT: '0' }
  }

  argv(...args: string[]): string[] {
    return [dockerCommand, '--host', `unix://${this.socket}`, ...args]
  }

  /** The work of a row: from spawn to exit, output thrown away. Throws for an exit code that is not 0. */
  command(...args: string[]): Promise<undefined> {
    return command(this.argv(...args), { env: this.env })
  }

  /** Its standard output, trimmed; throws for an exit code that is not 0. */
  async ok(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await runCommand(this.argv(...args), { env: this.env, timeoutMs: 120_000 })
    if (code !== 0) throw new Error(`docker ${args.join(' ')} ended with ${code}: ${stderr.trim().slice(-500)}`)
    return stdout.trim()
  }

  /** Removes every container. */
  async clear(): Promise<void> {
    const ids = (await this.ok('ps', '-aq')).split('\n').filter(id => id !== '')
    for (let at = 0; at < ids.length; at += 100) await this.ok('rm', '--force', '--volumes', ...ids.slice(at, at + 100))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.clear().catch(() => {})
    await this.engine[Symbol.asyncDispose]()
    await rm(this.#config, { recursive: true, force: true })
  }
}
