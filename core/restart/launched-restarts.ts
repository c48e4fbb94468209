/** Docker's restart policies, for containers that the core launched: `ContainerConfig.restart_policy`. */
import { KeyedLock } from '#api/concurrency/keyed-lock.ts'
import { isGantryError, messageOf } from '#api/errors/errors.ts'
import { Status } from '#api/gen/containerd/types/task/task.ts'
import type { RestartState } from '#api/gen/gantry/services/containers/v1/containers.ts'
import type { Logger } from '#api/log/log.ts'
import { timestampOf } from '#api/types/clock.ts'
import type { Container, Containers } from '#core/containers/containers.ts'
import {
  type LastRuns,
  launchConfigOf,
  type RestartPolicy,
  restartPolicyOf,
  wantsRestart,
} from '#core/launch/launch.ts'
import type { TaskManager } from '#core/tasks/tasks.ts'
import { Alarms } from './alarms.ts'
import { nextWaitMs } from './back-off.ts'
import { meansTheEnd } from './ending-signals.ts'
import type { RestartRecords } from './restart-records.ts'

export interface LaunchedRestartsParts {
  containers: Pick<Containers, 'get' | 'list'>
  tasks: Pick<TaskManager, 'create' | 'start' | 'delete' | 'describe'>
  lastRuns: Pick<LastRuns, 'get'>
  records: RestartRecords
  logger: Logger
  /** {@link LaunchedRestarts.stateOf} answers something else. */
  changed(ns: string, id: string): void
}

const none: RestartPolicy = { name: 'no', maxRetries: 0 }

export class LaunchedRestarts implements Disposable {
  readonly #parts: LaunchedRestartsParts
  readonly #alarms = new Alarms()
  readonly #underWay = new KeyedLock()
  /** Restarts under way, and when they were due, by container. */
  readonly #starting = new Map<string, number>()
  /** The wait before the present run, by container. */
  readonly #waits = new Map<string, number>()

  constructor(parts: LaunchedRestartsParts) {
    this.#parts = parts
  }

  /** A first process has ended. */
  async exited(ns: string, id: string, exitStatus: number, exitedAtMs: number): Promise<void> {
    const policy = await this.#policyOf(ns, id)
    const record = this.#parts.records.get(ns, id)
    if (record.stoppedByHand || !wantsRestart(policy, { exitStatus, ...record })) return
    this.#schedule(ns, id, exitedAtMs)
  }

  #schedule(ns: string, id: string, exitedAtMs: number): void {
    const startedAt = this.#parts.lastRuns.get(ns, id)?.startedAt
    const startedAtMs = startedAt ? Number(startedAt.seconds) * 1000 + startedAt.nanos / 1e6 : exitedAtMs
    const waitMs = nextWaitMs(this.#waits.get(keyOf(ns, id)), exitedAtMs - startedAtMs)
    this.#waits.set(keyOf(ns, id), waitMs)
    this.#alarms.set(ns, id, waitMs, () => void this.#underWay.run(keyOf(ns, id), () => this.#restart(ns, id)))
    this.#parts.changed(ns, id)
  }

  /** Never throws. What cannot be started now is tried again, with the back-off growing. */
  async #restart(ns: string, id: string): Promise<void> {
    const { tasks, records, logger } = this.#parts
    this.#starting.set(keyOf(ns, id), Date.now())
    try {
      const state = (await tasks.describe(ns, id))?.status
      // Somebody was faster. UNKNOWN is a task that is being taken away this moment.
      if (state !== undefined && state !== Status.STOPPED && state !== Status.UNKNOWN) return
      if (records.get(ns, id).stoppedByHand) return
      if (state !== undefined) await tasks.delete(ns, id).catch(unlessMissing)
      records.set(ns, id, { count: records.get(ns, id).count + 1 })
      await tasks.create(ns, { containerId: id, ...ownStreams })
      // It takes a while to create one: the stop may have come meanwhile, and waits for us.
      if (records.get(ns, id).stoppedByHand) await tasks.delete(ns, id)
      else await tasks.start(ns, id, '')
    } catch (error) {
      // Removed meanwhile, or started by somebody in this very moment.
      if (isGantryError(error, 'NOT_FOUND') && (await this.#isGone(ns, id))) return
      logger.warn({ ns, id, err: error }, `restart failed: ${messageOf(error)}`)
      await this.#failed(ns, id)
    } finally {
      this.#starting.delete(keyOf(ns, id))
      this.#parts.changed(ns, id)
    }
  }

  async #failed(ns: string, id: string): Promise<void> {
    const { records, tasks } = this.#parts
    const state = await tasks.describe(ns, id)
    if (state !== undefined && state.status === Status.CREATED) await tasks.delete(ns, id).catch(() => {})
    const policy = await this.#policyOf(ns, id).catch(() => none)
    const record = records.get(ns, id)
    if (!record.stoppedByHand && wantsRestart(policy, { exitStatus: 255, ...record }))
      this.#schedule(ns, id, Date.now())
  }

  async #isGone(ns: string, id: string): Promise<boolean> {
    return this.#parts.containers.get(ns, id).then(
      () => false,
      () => true,
    )
  }

  /** A client starts it: whatever was before is over. */
  startedByHand(ns: string, id: string): void {
    this.#cancel(ns, id)
    this.#waits.delete(keyOf(ns, id))
    this.#parts.records.set(ns, id, { count: 0, stoppedByHand: false })
  }

  /** A client asks it to end. True: its restart was under way, and may have been called off. */
  async stoppedByHand(ns: string, id: string, signal: number): Promise<boolean> {
    const container = await this.#parts.containers.get(ns, id)
    if (policyOf(container).name === 'no' || !meansTheEnd(signal, container)) return false
    const wasUnderWay = this.#isBetweenRuns(ns, container)
    this.#parts.records.set(ns, id, { stoppedByHand: true })
    // One that is being started sees the stop, and ends here.
    this.#cancel(ns, id)
    await this.#underWay.run(keyOf(ns, id), async () => this.#cancel(ns, id))
    return wasUnderWay
  }

  /** Also in the moment between an end and the alarm that is set for it. */
  #isBetweenRuns(ns: string, container: Container): boolean {
    const { id } = container
    if (this.#starting.has(keyOf(ns, id)) || this.#alarms.at(ns, id) !== undefined) return true
    const record = this.#parts.records.get(ns, id)
    const lastRun = this.#parts.lastRuns.get(ns, id)
    if (record.stoppedByHand || !lastRun?.exitedAt) return false
    return wantsRestart(policyOf(container), { exitStatus: lastRun.exitStatus, ...record })
  }

  /**
   * At the daemon's start: what should run and does not. As with Docker, `always` brings back what was stopped by hand
   * too, and `on-failure` waits for a failure that is seen.
   */
  async resume(ns: string): Promise<void> {
    for (const { id } of await this.#parts.containers.list(ns)) {
      const { name } = await this.#policyOf(ns, id).catch(() => none)
      const stayed = name === 'unless-stopped' && this.#parts.records.get(ns, id).stoppedByHand
      if ((name !== 'always' && name !== 'unless-stopped') || stayed) continue
      if (!this.#parts.lastRuns.get(ns, id)?.startedAt || this.#alarms.at(ns, id) !== undefined) continue
      const task = await this.#parts.tasks.describe(ns, id)
      if (task !== undefined && task.status !== Status.STOPPED) continue
      this.#parts.records.set(ns, id, { stoppedByHand: false })
      this.#schedule(ns, id, Date.now())
    }
  }

  stateOf(ns: string, id: string): RestartState {
    const { count, stoppedByHand } = this.#parts.records.get(ns, id)
    const atMs = this.#alarms.at(ns, id) ?? this.#starting.get(keyOf(ns, id))
    return { count, stoppedByHand, nextAt: atMs === undefined ? undefined : timestampOf(atMs) }
  }

  #cancel(ns: string, id: string): void {
    if (this.#alarms.cancel(ns, id)) this.#parts.changed(ns, id)
  }

  forget(ns: string, id: string): void {
    this.#alarms.cancel(ns, id)
    this.#waits.delete(keyOf(ns, id))
    this.#parts.records.forget(ns, id)
  }

  async #policyOf(ns: string, id: string): Promise<RestartPolicy> {
    return policyOf(await this.#parts.containers.get(ns, id))
  }

  [Symbol.dispose](): void {
    this.#alarms[Symbol.dispose]()
  }
}

/** No names: the core gives a launched container's streams to its shim. */
const ownStreams = { rootfs: [], stdin: '', stdout: '', stderr: '', terminal: false, runtimePath: '' }

function policyOf(container: Container): RestartPolicy {
  return restartPolicyOf(launchConfigOf(container)?.restartPolicy)
}

const keyOf = (ns: string, id: string) => JSON.stringify([ns, id])

function unlessMissing(error: unknown): void {
  if (!isGantryError(error, 'NOT_FOUND')) throw error
}
