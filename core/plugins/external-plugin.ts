/** A plugin that somebody else runs: an address, and what it tells about itself. */
import { messageOf, unavailable } from '#api/errors/errors.ts'
import type { GetInfoResponse } from '#api/gen/gantry/plugin/v1/plugin.ts'
import { type Channel, connect } from '#api/rpc/client.ts'
import { identify } from './readiness.ts'
import type { PluginSpec } from './spec.ts'
import type { ProcessStatus } from './status.ts'
import type { SupervisedPlugin } from './supervised.ts'

export class ExternalPlugin implements SupervisedPlugin {
  readonly startedAs = 0
  /** It was there before us. */
  readonly answered = Promise.resolve()
  readonly #spec: PluginSpec
  readonly #channel: Channel
  #info: GetInfoResponse | undefined
  #identified: Promise<void> | undefined
  #lastError = ''
  #state: 'idle' | 'ready' | 'failed' | 'stopped' = 'idle'

  constructor(spec: PluginSpec, address: string) {
    this.#spec = spec
    this.#channel = connect(address, { peer: `${spec.kind} "${spec.id}" at ${address}` })
  }

  /** Asks once who is there; after a failure, again with each call. */
  async channel(): Promise<Channel> {
    if (this.#state === 'stopped') throw unavailable(`${this.#channel.peer}: gantryd is stopping`)
    this.#identified ??= this.#identify()
    await this.#identified
    return this.#channel
  }

  async #identify(): Promise<void> {
    try {
      this.#info = await identify(this.#channel, this.#spec)
      this.#state = 'ready'
      this.#lastError = ''
    } catch (cause) {
      this.#state = 'failed'
      this.#lastError = messageOf(cause)
      this.#identified = undefined
      throw unavailable(`${this.#channel.peer} cannot be used: ${messageOf(cause)}`, { cause })
    }
  }

  /** Whoever runs it may have restarted it: worth another try. */
  async suspect(): Promise<boolean> {
    this.#identified = undefined
    return true
  }

  status(): ProcessStatus {
    const { version, capabilities } = this.#spec
    return {
      state: this.#state,
      pid: 0,
      restarts: 0,
      lastError: this.#lastError,
      lastWords: [],
      version: this.#info?.version ?? version,
      capabilities: this.#info?.capabilities ?? capabilities,
      address: this.#channel.address,
      external: true,
      startedAtMs: undefined,
      exports: this.#info?.exports ?? {},
    }
  }

  async stop(): Promise<void> {
    this.#state = 'stopped'
    this.#channel.close()
  }
}
