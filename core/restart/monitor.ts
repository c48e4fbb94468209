import { messageOf } from '#api/errors/errors.ts'
import { ContainerCreate, ContainerDelete, ContainerUpdate } from '#api/gen/containerd/events/container.ts'
import { TaskExit } from '#api/gen/containerd/events/task.ts'
import type { RestartState } from '#api/gen/gantry/services/containers/v1/containers.ts'
import type { Any } from '#api/gen/google/protobuf/any.ts'
import type { Logger } from '#api/log/log.ts'
import type { Containers } from '#core/containers/containers.ts'
import type { EventExchange } from '#core/events/events.ts'
import type { LastRuns } from '#core/launch/launch.ts'
import type { Metadata } from '#core/metadata/metadata.ts'
import type { Namespaces } from '#core/namespaces/namespaces.ts'
import type { Snapshots } from '#core/snapshots/snapshots.ts'
import type { ClientWishes, TaskManager } from '#core/tasks/tasks.ts'
import { LabelledRestarts } from './labelled-restarts.ts'
import { LaunchedRestarts } from './launched-restarts.ts'
import { RestartRecords } from './restart-records.ts'

export interface RestartMonitorParts {
  containers: Containers
  tasks: TaskManager
  lastRuns: LastRuns
  namespaces: Namespaces
  snapshots: Snapshots
  metadata: Metadata
  exchange: EventExchange
  logger: Logger
  /** How a container's restarts stand has changed. */
  changed(ns: string, id: string): void
  /** Of containerd's monitor; see restart.ts. */
  intervalMs: number
}

const filters = ['topic=="/tasks/exit"', 'topic~="^/containers/"']

/** Follows events from its making on, so that exits told while tasks are adopted count; acts from {@link resume} on. */
export class RestartMonitor implements ClientWishes, Disposable {
  readonly #parts: RestartMonitorParts
  readonly #launched: LaunchedRestarts
  readonly #labelled: LabelledRestarts
  readonly #stopped = new AbortController()
  readonly #resumed = Promise.withResolvers<void>()

  constructor(parts: RestartMonitorParts) {
    this.#parts = parts
    this.#launched = new LaunchedRestarts({ ...parts, records: new RestartRecords(parts.metadata) })
    this.#labelled = new LabelledRestarts(parts)
    void this.#follow().catch(error => parts.logger.error({ err: error }, 'restart policies are not followed any more'))
  }

  /** To be called when tasks have been adopted: starts what should run and does not. */
  async resume(): Promise<void> {
    for (const { name } of await this.#parts.namespaces.list()) {
      await this.#labelled.resume(name)
      await this.#launched.resume(name)
    }
    this.#resumed.resolve()
  }

  async starting(ns: string, id: string): Promise<void> {
    this.#launched.startedByHand(ns, id)
  }

  async killing(ns: string, id: string, signal: number): Promise<boolean> {
    return this.#launched.stoppedByHand(ns, id, signal)
  }

  stateOf(ns: string, id: string): RestartState {
    return this.#launched.stateOf(ns, id)
  }

  async #follow(): Promise<void> {
    const events = this.#parts.exchange.subscribe(filters, this.#stopped.signal)
    for await (const { namespace, topic, event } of events) {
      await this.#resumed.promise
      if (event === undefined) continue
      await this.#take(namespace, topic, event).catch(error =>
        this.#parts.logger.debug({ ns: namespace, topic, err: error }, `restarts: ${messageOf(error)}`),
      )
    }
  }

  async #take(ns: string, topic: string, { value }: Any): Promise<void> {
    if (topic === '/tasks/exit') return this.#exited(ns, TaskExit.decode(value))
    if (topic === '/containers/delete') return this.#forget(ns, ContainerDelete.decode(value).id)
    if (topic === '/containers/create') return this.#look(ns, ContainerCreate.decode(value).id)
    if (topic === '/containers/update') return this.#look(ns, ContainerUpdate.decode(value).id)
  }

  async #exited(ns: string, { containerId, id, exitStatus, exitedAt }: TaskExit): Promise<void> {
    if (id !== containerId) return
    const exitedAtMs = exitedAt ? Number(exitedAt.seconds) * 1000 + exitedAt.nanos / 1e6 : Date.now()
    await this.#labelled.exited(ns, id, exitStatus)
    await this.#launched.exited(ns, id, exitStatus, exitedAtMs)
  }

  async #look(ns: string, id: string): Promise<void> {
    this.#labelled.changed(ns, id, (await this.#parts.containers.get(ns, id)).labels)
  }

  async #forget(ns: string, id: string): Promise<void> {
    this.#labelled.forget(ns, id)
    this.#launched.forget(ns, id)
  }

  [Symbol.dispose](): void {
    this.#stopped.abort()
    this.#resumed.resolve()
    this.#launched[Symbol.dispose]()
    this.#labelled[Symbol.dispose]()
  }
}
