/** containerd's restart monitor: containers that any client labelled `containerd.io/restart.status`. */
import { isGantryError, messageOf } from '#api/errors/errors.ts'
import { type Process, Status } from '#api/gen/containerd/types/task/task.ts'
import type { Logger } from '#api/log/log.ts'
import type { Container, Containers } from '#core/containers/containers.ts'
import { launchConfigOf, parsePolicy, wantsRestart } from '#core/launch/launch.ts'
import type { Snapshots } from '#core/snapshots/snapshots.ts'
import { decodeSpecJson } from '#core/spec/spec.ts'
import type { TaskManager } from '#core/tasks/tasks.ts'
import { Alarms } from './alarms.ts'

/** What the labels are called, after `containerd.io/restart.`. */
type LabelName = 'status' | 'policy' | 'count' | 'explicitly-stopped' | 'loguri' | 'logpath'

export const restartLabel = (name: LabelName) => `containerd.io/restart.${name}`

export interface LabelledRestartsParts {
  containers: Pick<Containers, 'get' | 'list' | 'update'>
  tasks: Pick<TaskManager, 'get' | 'create' | 'start' | 'delete' | 'describe'>
  snapshots: Snapshots
  logger: Logger
  /** Between two starts of one container, and until a container that nobody started is. */
  intervalMs: number
}

/** So long a client has to take its ended task away by itself, as `ctr run` does. */
const clientsTurnMs = 500

export class LabelledRestarts implements Disposable {
  readonly #parts: LabelledRestartsParts
  readonly #alarms = new Alarms()
  readonly #lastStarts = new Map<string, number>()
  /** How first processes ended whose task may be gone by the time it is looked at. */
  readonly #exits = new Map<string, number>()

  constructor(parts: LabelledRestartsParts) {
    this.#parts = parts
  }

  /** Looks at every labelled container now: at the daemon's start. */
  async resume(ns: string): Promise<void> {
    const labelled = await this.#parts.containers.list(ns, [`labels.${JSON.stringify(restartLabel('status'))}`])
    for (const { id } of labelled) this.#lookIn(ns, id, 0)
  }

  /** A record was made or changed; its client may be about to start it. */
  changed(ns: string, id: string, labels: Readonly<Record<string, string>>): void {
    const wanted = labels[restartLabel('status')]
    if (wanted === undefined) this.#alarms.cancel(ns, id)
    else this.#lookIn(ns, id, wanted === 'stopped' ? 0 : this.#parts.intervalMs)
  }

  async exited(ns: string, id: string, exitStatus: number): Promise<void> {
    const { labels } = await this.#parts.containers.get(ns, id)
    if (labels[restartLabel('status')] === undefined) return
    this.#exits.set(keyOf(ns, id), exitStatus)
    const sinceMs = performance.now() - (this.#lastStarts.get(keyOf(ns, id)) ?? Number.NEGATIVE_INFINITY)
    this.#lookIn(ns, id, Math.max(clientsTurnMs, this.#parts.intervalMs - sinceMs))
  }

  forget(ns: string, id: string): void {
    this.#alarms.cancel(ns, id)
    this.#lastStarts.delete(keyOf(ns, id))
    this.#exits.delete(keyOf(ns, id))
  }

  #lookIn(ns: string, id: string, afterMs: number): void {
    this.#alarms.set(ns, id, afterMs, () => void this.#look(ns, id))
  }

  /** Never throws: what failed is tried again after the interval. */
  async #look(ns: string, id: string): Promise<void> {
    try {
      await this.#reconcile(ns, id)
    } catch (error) {
      if (isGantryError(error, 'NOT_FOUND') && (await this.#isGone(ns, id))) return
      this.#parts.logger.warn({ ns, id, err: error }, `restart monitor: ${messageOf(error)}`)
      this.#lookIn(ns, id, this.#parts.intervalMs)
    }
  }

  async #isGone(ns: string, id: string): Promise<boolean> {
    return this.#parts.containers.get(ns, id).then(
      () => false,
      () => true,
    )
  }

  async #reconcile(ns: string, id: string): Promise<void> {
    const container = await this.#parts.containers.get(ns, id)
    const task = await this.#parts.tasks.describe(ns, id)
    const wanted = container.labels[restartLabel('status')]
    if (wanted === 'stopped') {
      if (task !== undefined && task.status !== Status.STOPPED) await this.#end(ns, id, task)
    } else if (wanted === 'running' && !isAlive(task) && this.#isDue(container, this.#exitOf(ns, id, task))) {
      await this.#start(ns, container, task)
    }
  }

  #exitOf(ns: string, id: string, task: Process | undefined): number {
    return task?.status === Status.STOPPED ? task.exitStatus : (this.#exits.get(keyOf(ns, id)) ?? 0)
  }

  #isDue({ labels }: Container, exitStatus: number): boolean {
    return wantsRestart(parsePolicy(labels[restartLabel('policy')] ?? '', 'always'), {
      exitStatus,
      count: Number(labels[restartLabel('count')]) || 0,
      stoppedByHand: /^(1|t|true)$/i.test(labels[restartLabel('explicitly-stopped')] ?? ''),
    })
  }

  async #start(ns: string, container: Container, task: Process | undefined): Promise<void> {
    const { containers, tasks, snapshots } = this.#parts
    const { id, labels } = container
    this.#lastStarts.set(keyOf(ns, id), performance.now())
    const count = String((Number(labels[restartLabel('count')]) || 0) + 1)
    const counted = { ...container, labels: { ...labels, [restartLabel('count')]: count } }
    await containers.update(ns, counted, [`labels.${restartLabel('count')}`])
    if (task !== undefined) await this.#end(ns, id, task)
    const isLaunched = launchConfigOf(container) !== undefined
    const rootfs =
      isLaunched || container.snapshotKey === ''
        ? []
        : await snapshots.on(container.snapshotter).mounts(ns, container.snapshotKey)
    const log = logOf(labels)
    const terminal = isTerminal(container)
    const streams = { stdin: '', stdout: log, stderr: terminal ? '' : log, terminal }
    await tasks.create(ns, { containerId: id, rootfs, ...streams, runtimePath: '' })
    await tasks.start(ns, id, '')
  }

  /** Kills what is left of the task and takes it away. */
  async #end(ns: string, id: string, { status }: Process): Promise<void> {
    const { tasks } = this.#parts
    if (status !== Status.STOPPED) {
      const { shim } = tasks.get(ns, id)
      const ended = status === Status.CREATED ? undefined : shim.wait({ id })
      await shim.kill({ id, signal: 9, all: true }).catch(unlessMissing)
      await ended
    }
    await tasks.delete(ns, id).catch(unlessMissing)
  }

  [Symbol.dispose](): void {
    this.#alarms[Symbol.dispose]()
  }
}

/** A paused container is somebody's wish. */
function isAlive(task: Process | undefined): boolean {
  return task !== undefined && [Status.RUNNING, Status.PAUSED, Status.PAUSING].some(status => status === task.status)
}

/** Where its output goes, as containerd 1.x (`logpath`) and 2.x (`loguri`) tell; empty: nowhere. */
function logOf(labels: Readonly<Record<string, string>>): string {
  const path = labels[restartLabel('logpath')]
  return labels[restartLabel('loguri')] ?? (path ? `file://${path}` : '')
}

function isTerminal({ spec }: Container): boolean {
  const { process } = decodeSpecJson(spec.value) as { process?: { terminal?: boolean } }
  return process?.terminal ?? false
}

const keyOf = (ns: string, id: string) => JSON.stringify([ns, id])

function unlessMissing(error: unknown): void {
  if (!isGantryError(error, 'NOT_FOUND')) throw error
}
