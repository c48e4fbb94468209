/** A plugin that is installed but must not run: disabled, or with a configuration that was refused. */
import { failedPrecondition } from '#api/errors/errors.ts'
import type { Channel } from '#api/rpc/client.ts'
import type { PluginSpec } from './spec.ts'
import type { ProcessStatus } from './status.ts'
import type { SupervisedPlugin } from './supervised.ts'

export class UnusablePlugin implements SupervisedPlugin {
  readonly startedAs = 0
  readonly answered = new Promise<void>(() => {})
  readonly #spec: PluginSpec
  readonly #reason: string
  readonly #state: 'disabled' | 'failed'

  constructor(spec: PluginSpec, reason: string, state: 'disabled' | 'failed') {
    this.#spec = spec
    this.#reason = reason
    this.#state = state
  }

  async channel(): Promise<Channel> {
    throw failedPrecondition(`${this.#spec.kind} "${this.#spec.id}" cannot be used: ${this.#reason}`)
  }

  async suspect(): Promise<boolean> {
    return false
  }

  status(): ProcessStatus {
    return {
      state: this.#state,
      pid: 0,
      restarts: 0,
      lastError: this.#reason,
      lastWords: [],
      version: this.#spec.version,
      capabilities: this.#spec.capabilities,
      address: '',
      external: false,
      startedAtMs: undefined,
      exports: {},
    }
  }

  async stop(): Promise<void> {}
}
