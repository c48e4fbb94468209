/** Docker's events of containers, told from what the core says, whoever caused it. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { CoreEvent } from '../core-client/core-events.ts'
import type { Engine } from '../engine/engine.ts'
import { publishContainerEvent } from './actor.ts'
import { removeCheckpoints } from './checkpoints.ts'
import type { KnownContainer, KnownContainers } from './known-containers.ts'
import { oomAttributes } from './oom-report.ts'
import type { ContainerStore } from './store.ts'
import { millisecondsOf } from './times.ts'
import { needsHost, type VolumeMounts } from './volume-mounts.ts'

export interface TellerParts {
  engine: Pick<Engine, 'core' | 'events' | 'log'>
  store: ContainerStore
  known: KnownContainers
  volumes: VolumeMounts
}

const actions = { 'task-start': 'start', paused: 'pause', resumed: 'unpause' } as const

/** How long the event waits for what the core finds out. */
const oomReportMs = 2000
const oomPollMs = 25

/** Nothing is told of these, and nothing new is to be known after them. */
const silent: ReadonlySet<CoreEvent['kind']> = new Set(['task-create', 'exec-added', 'exec-started'])

export class EventTeller {
  readonly #parts: TellerParts
  /** Events of one container are told in order, each after what it needs to know was asked for. */
  readonly #tails = new Map<string, Promise<void>>()

  constructor(parts: TellerParts) {
    this.#parts = parts
  }

  take(event: CoreEvent): void {
    const { containerId, kind } = event
    if (silent.has(kind)) return
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
    const known = await this.#parts.known.find(containerId)
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

  #exited(event: CoreEvent & { kind: 'exit' }, known: KnownContainer, publish: Publish): void {
    const { execId, exitStatus, exitedAt } = event
    if (execId !== '') {
      publish('exec_die', { execID: execId, exitCode: String(exitStatus) })
      return
    }
    const startedMs = this.#parts.known.startedMs(known.id)
    const endedMs = exitedAt ? millisecondsOf(exitedAt) : Date.now()
    const execDuration = startedMs === undefined ? 0 : Math.max(0, Math.round((endedMs - startedMs) / 1000))
    publish('die', { exitCode: String(exitStatus), execDuration: String(execDuration) })
    if (needsHost(known)) void this.#parts.volumes.ended(known.id)
  }

  async #destroyed(known: KnownContainer, publish: Publish): Promise<void> {
    this.#parts.known.forget(known.id)
    publish('destroy')
    // Of `--rm` the core removes the container, whoever watches; its volumes are ours.
    const { record } = known
    if (!record.hostConfig.AutoRemove) return
    await this.#parts.volumes.release(known, true)
    await removeCheckpoints(this.#parts.engine, known)
  }
}

type Publish = (action: string, attributes?: Record<string, string>) => void
