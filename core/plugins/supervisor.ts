/** The supervisor: all plugins of one gantryd. */
import { notFound } from '#api/errors/errors.ts'
import type { Logger } from '#api/log/log.ts'
import type { GateLimits } from './call-gate.ts'
import { CallJournal } from './call-journal.ts'
import type { Surroundings } from './home.ts'
import type { LogSelection } from './kept-log.ts'
import { kindTraits, type PluginKind } from './kinds.ts'
import { Leftovers } from './leftovers.ts'
import { networkClient } from './network-client.ts'
import type { Plugins } from './plugins.ts'
import { PluginSlot } from './slot.ts'
import { snapshotterBackend } from './snapshotter-backend.ts'
import type { PluginSpec } from './spec.ts'
import { noStep, type StepHook } from './step.ts'
import { defaultTiming, type Timing } from './timing.ts'

export interface SupervisorOptions extends Surroundings {
  /** In the table from the start. */
  specs?: readonly PluginSpec[]
  log: Logger
  timing?: Partial<Timing>
  gateLimits?: GateLimits
  step?: StepHook
}

/** The table, and how it changes while it is in use. */
export interface Supervisor extends Plugins {
  readonly journal: CallJournal
  /** Ends and sweeps what an earlier gantryd left. Before anything starts. */
  sweepLeftovers(): Promise<void>
  /** What runs, or may run, under that name. */
  specOf(kind: PluginKind, id: string): PluginSpec | undefined
  /** What runs or may run of one kind, and what is disabled. */
  specs(kind: PluginKind): PluginSpec[]
  /** Adds a plugin, or puts another version of one in place (slot.ts). FAILED_PRECONDITION: it is no good. */
  apply(spec: PluginSpec): Promise<void>
  /** Takes a plugin out of the table and stops it. */
  drop(kind: PluginKind, id: string): Promise<void>
}

const name = (kind: PluginKind, id: string) => `${kind}/${id}`

/** Makes the plugin table; starts nothing. */
export function createSupervisor(options: SupervisorOptions): Supervisor {
  const supervisor = new PluginSupervisor(options)
  for (const spec of options.specs ?? []) supervisor.add(spec)
  return supervisor
}

class PluginSupervisor implements Supervisor {
  readonly journal = new CallJournal()
  readonly #options: SupervisorOptions
  readonly #timing: Timing
  readonly #leftovers: Leftovers
  readonly #table = new Map<string, PluginSlot>()
  #starts = 0
  /** The core serves: what starts with it starts when it is added. */
  #gatewaysOpen = false

  constructor(options: SupervisorOptions) {
    this.#options = options
    this.#timing = { ...defaultTiming, ...options.timing }
    this.#leftovers = new Leftovers(options, options.log)
  }

  add(spec: PluginSpec): void {
    const { log, gateLimits, step = noStep } = this.#options
    const slot = new PluginSlot(spec, {
      surroundings: this.#options,
      timing: this.#timing,
      ...(gateLimits && { gateLimits }),
      journal: this.journal,
      leftovers: this.#leftovers,
      step,
      log,
      nextStart: () => ++this.#starts,
    })
    this.#table.set(name(spec.kind, spec.id), slot)
    if (this.#gatewaysOpen && startsWithUs(slot)) slot.channel().catch(() => {})
  }

  #find(kind: PluginKind, id: string): PluginSlot {
    const slot = this.#table.get(name(kind, id))
    if (slot) return slot
    throw notFound(`${kind} plugin "${id}" (there are: ${this.ids(kind).join(', ') || 'none'})`)
  }

  ids(kind: PluginKind): string[] {
    const usable = this.specs(kind).filter(isAllowed)
    return usable.map(spec => spec.id).sort()
  }

  list() {
    return Array.from(this.#table.values(), slot => slot.status()).sort(byKindAndId)
  }

  methods(kind: PluginKind, id: string) {
    return this.journal.methods(kind, id).map(method => ({ method, ...this.journal.summary(kind, id, method) }))
  }

  async channelFor(kind: PluginKind, id: string) {
    return await this.#find(kind, id).channel()
  }

  async suspect(kind: PluginKind, id: string) {
    return await this.#find(kind, id).suspect()
  }

  call: Plugins['call'] = async (kind, id, method, perform, again) =>
    await this.#find(kind, id).call(method, perform, again)

  snapshotter(id: string) {
    this.#find('snapshotter', id)
    return snapshotterBackend(this, id)
  }

  network(id: string) {
    this.#find('network', id)
    return networkClient(this, id)
  }

  async *logs(kind: PluginKind, id: string, selection: LogSelection, signal?: AbortSignal) {
    const { kept } = this.#find(kind, id)
    yield* signal === undefined ? kept.read(selection) : kept.follow(selection, signal)
  }

  trace(signal: AbortSignal) {
    return this.journal.follow(signal)
  }

  async sweepLeftovers() {
    await this.#leftovers.sweep()
  }

  specOf(kind: PluginKind, id: string) {
    return this.#table.get(name(kind, id))?.spec
  }

  specs(kind: PluginKind) {
    return Array.from(this.#table.values(), slot => slot.spec).filter(spec => spec.kind === kind)
  }

  async apply(spec: PluginSpec) {
    const slot = this.#table.get(name(spec.kind, spec.id))
    if (slot === undefined) this.add(spec)
    else await slot.change(spec)
  }

  async drop(kind: PluginKind, id: string) {
    const slot = this.#table.get(name(kind, id))
    this.#table.delete(name(kind, id))
    await slot?.stop(this.#timing.stopMs)
  }

  startGateways(): AsyncDisposable {
    this.#gatewaysOpen = true
    const gateways = () => [...this.#table.values()].filter(startsWithUs)
    for (const gateway of gateways()) gateway.channel().catch(() => {})
    return {
      [Symbol.asyncDispose]: async () => {
        this.#gatewaysOpen = false
        await this.#stopAll(gateways())
      },
    }
  }

  async stop() {
    await this.#stopAll([...this.#table.values()])
    await this.#leftovers.finished()
  }

  /** Backwards, since a later one may use an earlier one's work; each gets what is left of the common time. */
  async #stopAll(slots: PluginSlot[]): Promise<void> {
    const { stopMs, stopAllMs } = this.#timing
    const deadline = Date.now() + stopAllMs
    slots.sort((a, b) => b.startedAs - a.startedAs)
    for (const slot of slots) await slot.stop(Math.max(0, Math.min(stopMs, deadline - Date.now())))
  }
}

function isAllowed({ source }: PluginSpec): boolean {
  return !('unusable' in source) || source.state !== 'disabled'
}

function startsWithUs({ spec }: PluginSlot): boolean {
  return kindTraits[spec.kind].starts === 'with gantryd'
}

function byKindAndId(a: { kind: PluginKind; id: string }, b: { kind: PluginKind; id: string }): number {
  return name(a.kind, a.id) < name(b.kind, b.id) ? -1 : 1
}
