/** Follows the logs of all containers of a core that its sink is to have, each on its own. */
import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '#api/errors/errors.ts'
import { LogsServiceDefinition, type Source, State } from '#api/gen/gantry/services/logs/v1/logs.ts'
import type { Logger } from '#api/log/log.ts'
import { type Channel, connect, createClient } from '#api/rpc/client.ts'
import type { LogSink } from './define-log-sink.ts'
import { FollowedLog } from './followed-log.ts'

export interface ContainerLogsOptions {
  readonly coreAddress: string
  /** Who follows. */
  readonly follower: string
  /** Only logs whose driver carries lines elsewhere. */
  readonly driversOnly: boolean
  readonly sink: Pick<LogSink, 'write' | 'rest'>
  readonly log: Logger
}

/** Before asking again a core that did not answer. */
const retryMs = 1_000

export class ContainerLogs {
  readonly #options: ContainerLogsOptions
  readonly #channel: Channel
  readonly #stop = new AbortController()
  /** By namespace and id. */
  readonly #followed = new Map<string, FollowedLog>()
  #following: Promise<void> | undefined

  constructor(options: ContainerLogsOptions) {
    this.#options = options
    this.#channel = connect(options.coreAddress, { peer: 'gantryd' })
  }

  start(): void {
    this.#following = this.#follow()
  }

  /** Resolves when nothing is written any more. */
  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#following
    await Promise.all(Array.from(this.#followed.values(), followed => followed.finished))
    this.#channel.close()
  }

  async #follow(): Promise<void> {
    const { signal } = this.#stop
    const { follower, driversOnly, log } = this.#options
    while (!signal.aborted) {
      try {
        const client = createClient(LogsServiceDefinition, this.#channel)
        for await (const { source } of client.follow({ follower, driversOnly }, { signal }))
          if (source) this.#see(source)
      } catch (error) {
        if (!signal.aborted) log.warn({ error: messageOf(error) }, 'gantryd does not answer; asking again')
      }
      await sleep(retryMs, undefined, { signal }).catch(() => {})
    }
  }

  /** A log that is new, or in another state. */
  #see(source: Source): void {
    const name = `${source.namespace}/${source.container}`
    const known = this.#followed.get(name)
    if (known?.update(source)) return
    const followed = new FollowedLog(source, { ...this.#options, signal: this.#stop.signal, before: known?.finished })
    this.#followed.set(name, followed)
    followed.finished
      .then(() => this.#ended(name, followed))
      .catch(error => this.#options.log.error({ container: name, error: messageOf(error) }, 'its log is not followed'))
  }

  async #ended(name: string, followed: FollowedLog): Promise<void> {
    if (this.#followed.get(name) === followed) this.#followed.delete(name)
    const { follower, sink } = this.#options
    await sink.rest?.(followed.source)
    if (followed.source.state !== State.STATE_DEPARTED || this.#stop.signal.aborted) return
    await createClient(LogsServiceDefinition, this.#channel).done({ follower, file: followed.source.file })
  }
}
