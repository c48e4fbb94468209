/**
 * A runtime: the executable of a shim (containerd's runtime v2 contract). It is run anew for each container, and the
 * shim it leaves behind outlives us; so nothing is started, watched or stopped here. Another version changes what new
 * containers get: each bundle holds the path of the shim it was started with (core/tasks).
 */
import { failedPrecondition, messageOf } from '#api/errors/errors.ts'
import type { Channel } from '#api/rpc/client.ts'
import type { Surroundings } from './home.ts'
import { serves } from './runtimes.ts'
import { askShim, type ShimFacts } from './shim-facts.ts'
import type { PluginSpec } from './spec.ts'
import type { ProcessStatus } from './status.ts'
import type { SupervisedPlugin } from './supervised.ts'

export class RuntimePlugin implements SupervisedPlugin {
  readonly startedAs = 0
  readonly answered = Promise.resolve()
  readonly #spec: PluginSpec
  readonly #path: string
  readonly #runningShims: NonNullable<Surroundings['runningShims']>
  #facts: ShimFacts | undefined
  #lastError = ''

  constructor(
    spec: PluginSpec,
    [path = '']: readonly string[],
    runningShims: NonNullable<Surroundings['runningShims']> = () => [],
  ) {
    this.#spec = spec
    this.#path = path
    this.#runningShims = runningShims
    askShim(path).then(
      facts => {
        this.#facts = facts
      },
      error => {
        this.#lastError = messageOf(error)
      },
    )
  }

  async channel(): Promise<Channel> {
    throw failedPrecondition(`runtime "${this.#spec.id}" serves no calls: its shim is started with each container`)
  }

  async suspect(): Promise<boolean> {
    return false
  }

  status(): ProcessStatus {
    const { version, capabilities } = this.#spec
    return {
      state: this.#lastError !== '' ? 'failed' : this.#facts === undefined ? 'starting' : 'ready',
      pid: 0,
      restarts: 0,
      lastError: this.#lastError,
      lastWords: [],
      version,
      capabilities,
      address: this.#path,
      external: false,
      startedAtMs: undefined,
      exports: { ...(this.#facts && factsOf(this.#facts)), ...this.#users() },
    }
  }

  /** Shims at work, and how many of them are of a version before this one. */
  #users(): Record<string, string> {
    const running = this.#runningShims(runtime => serves(this.#spec, runtime))
    const older = running.filter(path => path !== this.#path)
    return {
      'running shims': String(running.length),
      ...(older.length > 0 && { 'of other versions': String(older.length) }),
    }
  }

  async stop(): Promise<void> {}
}

/** For tools: what the shim itself says, beside what its manifest does. */
function factsOf({ name, version, optionsType }: ShimFacts): Record<string, string> {
  const all = { 'shim version': version, 'shim runtime': name, 'shim options': optionsType }
  return Object.fromEntries(Object.entries(all).filter(([, text]) => text !== ''))
}

/** The trial of another version. FAILED_PRECONDITION: it is no shim. */
export async function tryShim({ id, version, source }: PluginSpec): Promise<void> {
  if (!('argv' in source)) return
  try {
    await askShim(source.argv[0] ?? '')
  } catch (cause) {
    throw failedPrecondition(`runtime "${id}" ${version} failed its trial: ${messageOf(cause)}`, { cause })
  }
}
