/** Docker's events of containers, told from what the core says, whoever caused it. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { CoreEvent } from '../core-client/core-events.ts'
import type { Engine } from '../engine/engine.ts'
import { publishContainerEvent } from './actor.ts'
import { removeCheckpoints } from './checkpoints.ts'
import { oomAttributes } from './oom-report.ts'
import type { ContainerStore, Found } from './store.ts'
import { millisecondsOf } from './times.ts'
import { needsHost, type VolumeMounts } from './volume-mounts.ts'

export interface TellerParts {
  engine: Pick<Engine, 'core' | 'events' | 'log'>
  store: ContainerStore
  volumes: VolumeMounts
}

type Known = Pick<Found, 'id' | 'name' | 'record'>

const actions = { 'task-start': 'start', paused: 'pause', resumed: 'unpause' } as const

/** How long the event waits for what the core finds out. */
const oomReportMs = 2000
const oomPollMs = 25

/** So many of the last containers are remembered: their records are gone when the event of their removal comes. */
const rememberedContainers = 4096

export class EventTeller {
  readonly #parts: TellerParts
  readonly #known = new Map<string, Known>()
  /** Events of one container are told in order, each after what it needs to know was asked for. */
  readonly #tails = new Map<string, Promise<void>>()

  constructor(parts: TellerParts) {
    this.#parts = parts
  }

  take(event: CoreEvent): void {
    const { containerId } = event
    const before = this.#tails.get(containerId) ?? Promise.resolve()
    const tail = before
      .then(() => this.#tell(event))
      .catch(error => this.#parts.engine.log.warn({ err: error, containerId }, 'an event could not be told'))
      .finally(() => {
        if (this.#tails.get(containerId) === tail) this.#tails.delete(containerId)
      })
    this.#tails.set(containerId, tail)
  }

  async #tell(event: CoreEvent): Promise<void> {
    const { kind, containerId } = event
    const known = await this.#find(containerId)
    if (!known) return
    const publish = (action: string, attributes?: Record<string, string>) =>
      publishContainerEvent(this.#parts.engine.events, known, action, attributes)
    if (kind === 'container-delete') await this.#destroyed(known, publish)
    else if (kind === 'exit') this.#exited(event, known, publish)
    else if (kind === 'health') this.#healthChanged(event, publish)
    else if (kind === 'oom') publish('oom', await this.#oomAttributes(containerId))
    else if (kind in actions) publish(actions[kind as keyof typeof actions])
  }

  /** The core gathers them while the event is on its way; what comes later is told without. */
  async #oomAttributes(id: string): Promise<Record<string, string>> {
    for (const deadline = Date.now() + oomReportMs; Date.now() < deadline; await sleep(oomPollMs)) {
      const found = await this.#parts.store.peek(id)
      if (!found) break
      if (found.core.lastRun?.oom) return oomAttributes(found.core.lastRun.oom)
    }
    return {}
  }

  #healthChanged({ status, ended }: CoreEvent & { kind: 'health' }, publish: Publish): void {
    if (!ended) publish(`health_status: ${status}`)
  }

  #exited(event: CoreEvent & { kind: 'exit' }, known: Known, publish: Publish): void {
    const { execId, exitStatus, exitedAt } = event
    if (execId !== '') {
      publish('exec_die', { execID: execId, exitCode: String(exitStatus) })
      return
    }
    const startedMs = this.#started.get(known.id)
    const endedMs = exitedAt ? millisecondsOf(exitedAt) : Date.now()
    const execDuration = startedMs === undefined ? 0 : Math.max(0, Math.round((endedMs - startedMs) / 1000))
    publish('die', { exitCode: String(exitStatus), execDuration: String(execDuration) })
    if (needsHost(known)) void this.#parts.volumes.ended(known.id)
  }

  readonly #started = new Map<string, number>()

  async #destroyed(known: Known, publish: Publish): Promise<void> {
    this.#known.delete(known.id)
    this.#started.delete(known.id)
    publish('destroy')
    // Of `--rm` the core removes the container, whoever watches; its volumes are ours.
    const { record } = known
    if (!record.hostConfig.AutoRemove) return
    await this.#parts.volumes.release(known, true)
    await removeCheckpoints(this.#parts.engine, known)
  }

  async #find(id: string): Promise<Known | undefined> {
    const found = await this.#parts.store.peek(id)
    if (!found) return this.#known.get(id)
    const known = { id: found.id, name: found.name, record: found.record }
    this.#known.delete(id)
    this.#known.set(id, known)
    if (found.core.lastRun?.startedAt) this.#started.set(id, millisecondsOf(found.core.lastRun.startedAt))
    if (this.#known.size > rememberedContainers) {
      const [oldest = ''] = this.#known.keys()
      this.#known.delete(oldest)
      this.#started.delete(oldest)
    }
    return known
  }
}

type Publish = (action: string, attributes?: Record<string, string>) => void
