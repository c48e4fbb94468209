/**
 * Health of containers. Gantry's shim probes its container by itself, and the core knows what came of it. Of containers
 * under other shims it is the gateway that probes, while it lives: a timer for each running container that has a check, and
 * an exec when it fires. A change of status is recorded with the container; the last probes are kept in memory.
 */
import { existsSync } from 'node:fs'
import { messageOf } from '#api/errors/errors.ts'
import { publishContainerEvent } from '../containers/actor.ts'
import type { KnownContainers } from '../containers/known-containers.ts'
import type { Health } from '../containers/record.ts'
import type { ContainerStore, Found } from '../containers/store.ts'
import { millisecondsOf } from '../containers/times.ts'
import type { CoreEvents } from '../core-client/core-events.ts'
import type { Engine } from '../engine/engine.ts'
import { freshHealth, healthExtension, knownHealth, recordedHealth } from './known-health.ts'
import { probe, probeCommand } from './probe.ts'

/** Docker's. */
const keptProbes = 5
const defaults = { intervalMs: 30_000, timeoutMs: 30_000, startIntervalMs: 5000, retries: 3 }

interface Watch {
  health: Health
  timer: NodeJS.Timeout | undefined
  stopped: boolean
  hasPassed: boolean
}

export interface HealthParts {
  engine: Pick<Engine, 'core' | 'events' | 'log'>
  store: ContainerStore
  known: KnownContainers
  events: CoreEvents
}

export class HealthMonitor implements Disposable {
  readonly #parts: HealthParts
  readonly #watches = new Map<string, Watch>()
  #closed = false

  constructor(parts: HealthParts) {
    this.#parts = parts
    parts.events.listen(
      ({ kind, containerId, ...event }) => {
        if (kind === 'task-start') void this.#started(containerId)
        if (kind === 'exit' && (event as { execId?: string }).execId === '') this.#end(containerId)
        if (kind === 'container-delete') this.#end(containerId)
      },
      () => void this.#resume(),
    )
  }

  /** As inspect shows it; undefined for a container without a check. */
  healthOf(found: Found): Health | undefined {
    return this.#watches.get(found.id)?.health ?? knownHealth(found)
  }

  /** What the gateway's own probes have found; undefined: it does not probe this one. */
  watched(id: string): Health | undefined {
    return this.#watches.get(id)?.health
  }

  /** Those that ran already when the gateway or the core was started. */
  async #resume(): Promise<void> {
    try {
      for (const found of await this.#parts.store.all())
        if (isProbedHere(found) && !this.#watches.has(found.id)) await this.#begin(found.id, true)
    } catch (error) {
      this.#parts.engine.log.debug({}, `health checks: ${messageOf(error)}`)
    }
  }

  /** Most have no check: nothing is asked for them. */
  async #started(id: string): Promise<void> {
    const known = await this.#parts.known.find(id).catch(() => undefined)
    if (known && probeCommand(known.record) !== undefined) await this.#begin(id)
  }

  async #begin(id: string, goesOn = false): Promise<void> {
    const found = await this.#parts.store.peek(id)
    if (!found || this.#closed || !isProbedHere(found)) return
    this.#end(id)
    const health = (goesOn && recordedHealth(found)) || freshHealth()
    const watch: Watch = { health, timer: undefined, stopped: false, hasPassed: health.Status === 'healthy' }
    this.#watches.set(id, watch)
    if (!goesOn && recordedHealth(found)) await this.#record(found, health)
    this.#schedule(found, watch)
  }

  #end(id: string): void {
    const watch = this.#watches.get(id)
    if (!watch) return
    watch.stopped = true
    clearTimeout(watch.timer)
    this.#watches.delete(id)
  }

  #schedule(found: Found, watch: Watch): void {
    if (watch.stopped) return
    const { Interval = 0, StartInterval = 0 } = found.record.config.Healthcheck ?? {}
    const starting = !watch.hasPassed && inStartPeriod(found)
    const waitMs = starting ? StartInterval / 1e6 || defaults.startIntervalMs : Interval / 1e6 || defaults.intervalMs
    watch.timer = setTimeout(() => void this.#check(found, watch), waitMs)
    watch.timer.unref()
  }

  async #check(found: Found, watch: Watch): Promise<void> {
    const timeoutMs = (found.record.config.Healthcheck?.Timeout ?? 0) / 1e6 || defaults.timeoutMs
    const result = await probe(this.#parts.engine.core, found, probeCommand(found.record) ?? [], timeoutMs)
    if (watch.stopped) return
    const before = watch.health.Status
    const isIgnored = result.ExitCode !== 0 && !watch.hasPassed && inStartPeriod(found)
    watch.hasPassed ||= result.ExitCode === 0
    watch.health = judged(watch.health, result, found.record.config.Healthcheck?.Retries || defaults.retries, isIgnored)
    if (watch.health.Status !== before) await this.#changed(found, watch.health)
    this.#schedule(found, watch)
  }

  async #changed(found: Found, health: Health): Promise<void> {
    publishContainerEvent(this.#parts.engine.events, found, `health_status: ${health.Status}`)
    await this.#record(found, health)
  }

  async #record({ id }: Found, health: Health): Promise<void> {
    const value = Buffer.from(JSON.stringify(health))
    const extensions = { [healthExtension]: { typeUrl: healthExtension, value } }
    await this.#parts.engine.core.containers
      .update({ id, extensions })
      .catch(error => this.#parts.engine.log.debug({ id }, `health: ${messageOf(error)}`))
  }

  [Symbol.dispose](): void {
    this.#closed = true
    for (const id of [...this.#watches.keys()]) this.#end(id)
  }
}

/** A shim that probes has its socket before its start is told. */
const isProbedHere = ({ record, state, core }: Found) =>
  state.name === 'running' && probeCommand(record) !== undefined && !existsSync(core.paths?.healthSocket ?? '')

function inStartPeriod({ record, core }: Found): boolean {
  const periodMs = (record.config.Healthcheck?.StartPeriod ?? 0) / 1e6
  const startedAt = core.lastRun?.startedAt
  return periodMs > 0 && startedAt !== undefined && Date.now() < millisecondsOf(startedAt) + periodMs
}

/** A failure within the start period does not count; as many as the retries in a row make it unhealthy. */
function judged(health: Health, result: Health['Log'][number], retries: number, isIgnored: boolean): Health {
  const Log = [...health.Log, result].slice(-keptProbes)
  if (result.ExitCode === 0) return { Status: 'healthy', FailingStreak: 0, Log }
  if (isIgnored) return { ...health, Log }
  const FailingStreak = health.FailingStreak + 1
  return { Status: FailingStreak >= retries ? 'unhealthy' : health.Status, FailingStreak, Log }
}
