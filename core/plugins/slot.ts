/**
 * A plugin's place in the table. Who holds it may change; the place, its gate, its breaker and its log stay, and callers
 * do not notice.
 */
import { isDeepStrictEqual } from 'node:util'
import { messageOf } from '#api/errors/errors.ts'
import type { Logger } from '#api/log/log.ts'
import type { Channel } from '#api/rpc/client.ts'
import { Breaker } from './breaker.ts'
import { CallGate, defaultGateLimits, type GateLimits } from './call-gate.ts'
import type { CallJournal } from './call-journal.ts'
import { type Perform, PluginCalls } from './calls.ts'
import { ExternalPlugin } from './external-plugin.ts'
import { homeOf, logPathOf, type Surroundings } from './home.ts'
import { KeptLog } from './kept-log.ts'
import { kindTraits } from './kinds.ts'
import type { Leftovers } from './leftovers.ts'
import { ManagedPlugin } from './managed-plugin.ts'
import { residentBytes } from './process-memory.ts'
import { isServing } from './readiness.ts'
import { RuntimePlugin } from './runtime-plugin.ts'
import type { PluginSpec } from './spec.ts'
import type { PluginStatus } from './status.ts'
import type { StepHook } from './step.ts'
import type { SupervisedPlugin } from './supervised.ts'
import { handOver, tryOut } from './swap.ts'
import type { Timing } from './timing.ts'
import { UnusablePlugin } from './unusable-plugin.ts'

export interface SlotOptions {
  readonly surroundings: Surroundings
  readonly timing: Timing
  readonly gateLimits?: GateLimits
  readonly journal: CallJournal
  readonly leftovers: Leftovers
  readonly step: StepHook
  readonly log: Logger
  /** Counts starts over all plugins. */
  nextStart(): number
}

export class PluginSlot {
  readonly kept: KeptLog
  readonly #options: SlotOptions
  readonly #log: Logger
  readonly #gate: CallGate
  readonly #breaker: Breaker
  readonly #calls: PluginCalls
  #spec: PluginSpec
  #current: SupervisedPlugin
  #generation = 0
  #swaps = 0
  /** Changes of the holder, one after the other. */
  #changes: Promise<unknown> = Promise.resolve()

  constructor(spec: PluginSpec, options: SlotOptions) {
    const { kind, id } = spec
    const { timing, journal } = options
    const label = `${kind} "${id}"`
    this.#options = options
    this.#log = options.log.child({ plugin: `${kind}/${id}` })
    this.kept = new KeptLog(logPathOf(spec, options.surroundings))
    this.#spec = spec
    this.#current = this.#make(spec)
    this.#gate = new CallGate(label, options.gateLimits ?? defaultGateLimits)
    this.#breaker = new Breaker({
      label,
      threshold: timing.breakerThreshold,
      probeEveryMs: timing.breakerProbeMs,
      probe: () => this.#answers(),
    })
    this.#calls = new PluginCalls({
      kind,
      id,
      journal,
      gate: this.#gate,
      breaker: this.#breaker,
      deadlines: () => this.#spec.deadlines ?? {},
      channel: () => this.#current.channel(),
      suspect: () => this.#current.suspect(),
      pid: () => this.#current.status().pid,
    })
  }

  get spec(): PluginSpec {
    return this.#spec
  }

  get startedAs(): number {
    return this.#current.startedAs
  }

  channel(): Promise<Channel> {
    return this.#current.channel()
  }

  call<T>(method: string, perform: Perform<T>, again?: Perform<T>): Promise<T> {
    return this.#calls.run(method, perform, again)
  }

  /**
   * Puts another version, implementation or configuration in place, without a call failing. A spec that cannot do its
   * work leaves everything as it was; FAILED_PRECONDITION says why.
   */
  change(next: PluginSpec): Promise<void> {
    const change = this.#changes.then(() => this.#change(next))
    this.#changes = change.catch(() => {})
    return change
  }

  async #change(next: PluginSpec): Promise<void> {
    if (isDeepStrictEqual(next, this.#spec)) return
    const { surroundings, timing, leftovers, step } = this.#options
    const candidate = (spec: PluginSpec) => this.#make(spec)
    this.#log.info({ from: this.#spec.version, to: next.version }, 'another version takes over')
    try {
      await tryOut(next, { surroundings, timing, leftovers, step, log: this.#log, kept: this.kept })
      await handOver({
        old: { spec: this.#spec, plugin: this.#current },
        next: { spec: next, plugin: candidate(next) },
        gate: this.#gate,
        timing,
        step,
        remake: candidate,
        install: (spec, plugin) => {
          this.#spec = spec
          this.#current = plugin
          this.#breaker.close()
        },
      })
      this.#swaps++
    } catch (error) {
      this.#log.error({ to: next.version, error: messageOf(error) }, 'the change failed; the old one goes on')
      throw error
    }
  }

  /** Whoever holds the place is stopped and started again, as in a change to itself. */
  #make(spec: PluginSpec): SupervisedPlugin {
    const { source } = spec
    if ('unusable' in source) return new UnusablePlugin(spec, source.unusable, source.state)
    if ('address' in source) return new ExternalPlugin(spec, source.address)
    const { surroundings, timing, leftovers, nextStart } = this.#options
    if (kindTraits[spec.kind].starts === 'per container')
      return new RuntimePlugin(spec, source.argv, surroundings.runningShims)
    const home = homeOf(spec, surroundings, this.#generation++)
    const parts = { spec, argv: source.argv, home, timing, leftovers, log: this.#log, kept: this.kept, nextStart }
    return new ManagedPlugin(parts)
  }

  /** Only asks a process that is there: the breaker must start none. */
  async #answers(): Promise<boolean> {
    const { state } = this.#current.status()
    if (state !== 'ready') return state !== 'starting' && state !== 'stopped'
    return await isServing(await this.#current.channel(), this.#options.timing.breakerProbeMs)
  }

  suspect(): Promise<boolean> {
    return this.#current.suspect()
  }

  status(): PluginStatus {
    const { kind, id, origin = '' } = this.#spec
    const process = this.#current.status()
    const { inFlight, queued } = this.#gate
    return {
      ...process,
      kind,
      id,
      origin,
      memoryBytes: residentBytes(process.pid),
      traffic: { ...this.#options.journal.summary(kind, id), inFlight, queued },
      breaker: this.#breaker.openSince ?? '',
      swaps: this.#swaps,
    }
  }

  async stop(deadlineMs: number): Promise<void> {
    this.#breaker.close()
    await this.#current.stop(deadlineMs)
    this.kept.close()
  }
}
