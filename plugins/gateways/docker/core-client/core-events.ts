/**
 * What happens to containers in the core, whoever caused it: one subscription for the whole gateway, opened anew when it
 * breaks. Events between two subscriptions are missed; `onReconnect` tells listeners to look for themselves.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '#api/errors/errors.ts'
import { ContainerCreate, ContainerDelete, ContainerUpdate } from '#api/gen/containerd/events/container.ts'
import {
  TaskCreate,
  TaskExecAdded,
  TaskExecStarted,
  TaskExit,
  TaskOOM,
  TaskPaused,
  TaskResumed,
  TaskStart,
} from '#api/gen/containerd/events/task.ts'
import { HealthChanged } from '#api/gen/gantry/health/v1/health.ts'
import type { Timestamp } from '#api/gen/google/protobuf/timestamp.ts'
import type { Logger } from '#api/log/log.ts'
import { type Core, dockerNamespace } from './core.ts'

export type CoreEvent = { timestamp: Timestamp | undefined; containerId: string } & (
  | {
      kind:
        | 'container-create'
        | 'container-update'
        | 'container-delete'
        | 'task-create'
        | 'task-start'
        | 'oom'
        | 'paused'
        | 'resumed'
    }
  | { kind: 'exit'; execId: string; pid: number; exitStatus: number; exitedAt: Timestamp | undefined }
  | { kind: 'exec-added' | 'exec-started'; execId: string }
  /** Another status than before, or with `ended` the last one. */
  | { kind: 'health'; status: string; ended: boolean }
)

type Kinded = CoreEvent extends infer E ? (E extends unknown ? Omit<E, 'timestamp'> : never) : never

const decoders: Record<string, (value: Buffer) => Kinded> = {
  '/containers/create': value => ({ kind: 'container-create', containerId: ContainerCreate.decode(value).id }),
  '/containers/update': value => ({ kind: 'container-update', containerId: ContainerUpdate.decode(value).id }),
  '/containers/delete': value => ({ kind: 'container-delete', containerId: ContainerDelete.decode(value).id }),
  '/tasks/create': value => ({ kind: 'task-create', containerId: TaskCreate.decode(value).containerId }),
  '/tasks/start': value => ({ kind: 'task-start', containerId: TaskStart.decode(value).containerId }),
  '/tasks/oom': value => ({ kind: 'oom', containerId: TaskOOM.decode(value).containerId }),
  '/tasks/paused': value => ({ kind: 'paused', containerId: TaskPaused.decode(value).containerId }),
  '/tasks/resumed': value => ({ kind: 'resumed', containerId: TaskResumed.decode(value).containerId }),
  '/tasks/exit': value => {
    const { containerId, id, pid, exitStatus, exitedAt } = TaskExit.decode(value)
    return { kind: 'exit', containerId, execId: id === containerId ? '' : id, pid, exitStatus, exitedAt }
  },
  '/health/status': value => {
    const { containerId, health, ended } = HealthChanged.decode(value)
    return { kind: 'health', containerId, status: health?.status ?? '', ended }
  },
  '/tasks/exec-added': value => ({ kind: 'exec-added', ...TaskExecAdded.decode(value) }),
  '/tasks/exec-started': value => ({ kind: 'exec-started', ...TaskExecStarted.decode(value) }),
}

/** Of layers, images and blobs nothing is asked for: a pull alone tells of hundreds. */
const filter = `namespace==${dockerNamespace},topic~="^/(containers|tasks|health)/"`

export type CoreEventListener = (event: CoreEvent) => void

export class CoreEvents {
  readonly #listeners = new Set<CoreEventListener>()
  readonly #reconnects = new Set<() => void>()
  readonly #stop = new AbortController()
  readonly #core: Core
  readonly #log: Logger

  constructor(core: Core, log: Logger) {
    this.#core = core
    this.#log = log
    // Listeners of the same turn are told of the first subscription too: what happened before it they look for themselves.
    queueMicrotask(() => void this.#follow())
  }

  /** Answers how to stop listening. */
  listen(listener: CoreEventListener, onReconnect?: () => void): () => void {
    this.#listeners.add(listener)
    if (onReconnect) this.#reconnects.add(onReconnect)
    return () => {
      this.#listeners.delete(listener)
      if (onReconnect) this.#reconnects.delete(onReconnect)
    }
  }

  close(): void {
    this.#stop.abort()
  }

  async #follow(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      try {
        const stream = this.#core.events.subscribe({ filters: [filter] }, { signal })
        for (const notify of this.#reconnects) notify()
        for await (const { topic, event, timestamp } of stream) {
          const decode = decoders[topic]
          if (decode && event) this.#tell({ timestamp, ...decode(event.value) } as CoreEvent)
        }
      } catch (error) {
        if (!signal.aborted) this.#log.warn({}, `events of the core: ${messageOf(error)}; subscribing again`)
      }
      await sleep(200, undefined, { signal }).catch(() => {})
    }
  }

  #tell(event: CoreEvent): void {
    for (const listener of this.#listeners) {
      try {
        listener(event)
      } catch (error) {
        this.#log.error({ err: error }, 'a listener of core events failed')
      }
    }
  }
}
