import { failedPrecondition, isGantryError, messageOf } from '#api/errors/errors.ts'
import type { Descriptor } from '#api/gen/containerd/types/descriptor.ts'
import { type Process, Status } from '#api/gen/containerd/types/task/task.ts'
import type { ContainerConfig } from '#api/gen/gantry/services/containers/v1/containers.ts'
import type { Any } from '#api/gen/google/protobuf/any.ts'
import type { Logger } from '#api/log/log.ts'
import { currentScope, resume, type Scope, step } from '#api/trace/spans.ts'
import type { Container, Containers } from '#core/containers/containers.ts'
import type { ContentStore } from '#core/content/content.ts'
import type { EventExchange } from '#core/events/events.ts'
import { type LastRuns, type Launcher, launchConfigOf, type PlacesOf } from '#core/launch/launch.ts'
import { subjectOf } from '#core/logs/logs.ts'
import { now } from '#core/metadata/metadata.ts'
import type { Networks } from '#core/networks/networks.ts'
import type { Snapshots } from '#core/snapshots/snapshots.ts'
import { type NamespaceType, procNamespaceName } from '#core/spec/spec.ts'
import { adoptTasks } from './adopt.ts'
import { afterExit } from './after-exit.ts'
import {
  type Bootstrap,
  type Bundle,
  type BundleRoots,
  bundleOf,
  claimBundle,
  fillBundle,
  hideBundle,
  removeBundle,
  restoreFolder,
  writeConfig,
} from './bundle.ts'
import { removeEmptyCgroups } from './cgroup-parents.ts'
import { type CheckpointWish, checkpointTask, unpackCheckpoint } from './checkpoints.ts'
import { Cleanups } from './cleanups.ts'
import { watchExits } from './exit-watch.ts'
import { writeHealthCheck } from './health-check.ts'
import { prepareExec } from './launched-exec.ts'
import { type PreparedTask, prepareTask } from './launched-task.ts'
import { describeTask, knownProcess } from './process-state.ts'
import { RunningTask } from './running-task.ts'
import { runtimeInfo } from './runtime-info.ts'
import { resolveShim, type ShimPlaces, servingRuntime } from './runtime-name.ts'
import { runtimeOptions, withDefaults } from './runtime-options.ts'
import { ShimAccess } from './shim-access.ts'
import type { ShimConnection } from './shim-connection.ts'
import { followShimLog } from './shim-log.ts'
import { ShimPool } from './shim-pool.ts'
import type { ShimSurroundings } from './shim-process.ts'
import { sideBySide } from './side-by-side.ts'
import { containerStdout } from './stdio.ts'
import { TaskTable } from './task-table.ts'
import type { CreateTask, Exit, Task, TaskManager } from './tasks.ts'
import { Teardown } from './teardown.ts'
import { UndoSteps } from './undo-steps.ts'

export interface TaskManagerParts {
  containers: Containers
  /** Deletes a record with all that a launched container owns. */
  deleteContainer(ns: string, id: string): Promise<void>
  launcher: Launcher
  lastRuns: LastRuns
  networks: Networks
  snapshots: Snapshots
  content: ContentStore
  /** An existing private folder. */
  tempDir: string
  exchange: EventExchange
  roots: BundleRoots
  placesOf: PlacesOf
  /** The running shim that the tasks of a sandbox belong into; undefined: each has its own. */
  shimOfSandbox(ns: string, sandboxId: string): Promise<Bootstrap | undefined>
  /** Name of the cgroup above all containers of this daemon. */
  cgroupName: string
  shims: ShimPlaces
  surroundings: ShimSurroundings
  logger: Logger
  /** A task came, went, or is in another state. */
  changed(ns: string, id: string): void
}

/** containerd's for an end that nobody saw. */
const unknownExit = 255

export class TaskManagerImpl implements TaskManager {
  readonly #parts: TaskManagerParts
  readonly #table: TaskTable
  readonly #cleanups: Cleanups
  readonly #teardown: Teardown
  readonly #pool: ShimPool
  readonly #shims: ShimAccess
  readonly #stopped = new AbortController()

  constructor(parts: TaskManagerParts) {
    this.#parts = parts
    this.#table = new TaskTable(parts.changed)
    this.#pool = new ShimPool(parts)
    this.#cleanups = new Cleanups(parts.logger)
    this.#teardown = new Teardown({ ...parts, table: this.#table, cleanups: this.#cleanups })
    const [stopped, table] = [this.#stopped.signal, this.#table]
    this.#shims = new ShimAccess({ ...parts, pool: this.#pool, table, teardown: this.#teardown, stopped })
    const ended = (task: RunningTask) => this.#ended(task)
    void watchExits({ ...parts, table, ended }, stopped).catch(error =>
      parts.logger.error({ err: error }, 'exits are not followed any more'),
    )
  }

  get(ns: string, id: string): Task {
    return this.#table.get(ns, id)
  }

  has(ns: string, id: string): boolean {
    return this.#table.has(ns, id)
  }

  list(ns: string): Task[] {
    return this.#table.list(ns)
  }

  async create(ns: string, request: CreateTask, signal?: AbortSignal): Promise<Task> {
    const id = request.containerId
    const record = await step('read the record', () => this.#parts.containers.get(ns, id))
    const { name, options = request.options } = record.runtime
    const served = servingRuntime(name, options, this.#parts.shims)
    const runtime = request.runtimePath || served
    const { path: shimPath, options: defaults } = await step('find the runtime', () =>
      resolveShim(runtime, this.#parts.shims),
    )
    const container = withDefaults(record, defaults)
    await using undo = new UndoSteps(this.#parts.logger)
    this.#table.reserve(ns, id)
    undo.defer(() => this.#table.release(ns, id))
    const bundle = bundleOf(this.#parts.roots, ns, id)
    await step('claim the bundle', async () => {
      await this.#cleanups.settled(ns, id)
      await claimBundle(bundle)
    })
    undo.defer(() => this.#dropBundle(bundle))
    const configJson = container.spec.value
    await step('write the bundle', () => fillBundle(bundle, configJson, shimPath))
    const wish = { shimPath, options: runtimeOptions(request, container), configJson }
    if (request.checkpoint) await unpackCheckpoint(this.#parts.content, ns, request.checkpoint, restoreFolder(bundle))
    const log = await step('open the log', () => followShimLog(bundle, this.#parts.logger))
    undo.defer(() => log[Symbol.dispose]())
    const [connection, prepared] = await sideBySide(
      container.sandbox === ''
        ? this.#shims.own(bundle, wish, undo)
        : this.#shims.ofSandbox(bundle, container.sandbox, wish, undo),
      this.#prepare(ns, container, request, undo, signal),
    )
    const { pid } = await this.#createInShim(connection, bundle, container, request, prepared)
    const task = this.#newTask({
      scope: currentScope(),
      bundle,
      shimPath,
      connection,
      log,
      pid,
      status: Status.CREATED,
      isLaunched: launchConfigOf(container) !== undefined,
    })
    this.#table.set(task)
    undo.keep()
    return task
  }

  async checkpoint(ns: string, id: string, wish: CheckpointWish): Promise<Descriptor[]> {
    const container = await this.#parts.containers.get(ns, id)
    return checkpointTask(this.#parts, this.#table.get(ns, id), container, wish)
  }

  async describe(ns: string, id: string): Promise<Process | undefined> {
    const task = this.#table.find(ns, id)
    return task && describeTask(task)
  }

  known(ns: string, id: string): Process | undefined {
    const task = this.#table.find(ns, id)
    return task && knownProcess(task)
  }

  async pause(ns: string, id: string): Promise<void> {
    const task = this.#table.get(ns, id)
    await task.shim.pause({ id })
    this.#table.mark(task, Status.PAUSED)
  }

  async resume(ns: string, id: string): Promise<void> {
    const task = this.#table.get(ns, id)
    await task.shim.resume({ id })
    this.#table.mark(task, Status.RUNNING)
  }

  noteEnd(ns: string, id: string, exit: Exit): void {
    const task = this.#table.find(ns, id)
    if (task) this.#table.markEnded(task, exit)
  }

  async start(ns: string, id: string, execId: string): Promise<{ pid: number }> {
    const task = this.#table.get(ns, id)
    if (execId !== '') return task.shim.start({ id, execId })
    const answer = await this.#startFirst(task)
    this.#table.mark(task, Status.RUNNING)
    return answer
  }

  async #startFirst(task: RunningTask): Promise<{ pid: number }> {
    const { namespace: ns, id } = task
    if (!task.launched) return task.shim.start({ id, execId: '' })
    const before = step('record the start', () => this.#parts.lastRuns.started(ns, id, task.pid))
    try {
      return await task.shim.start({ id, execId: '' })
    } catch (error) {
      this.#parts.lastRuns.failed(ns, id, before, messageOf(error))
      throw error
    }
  }

  async #dropBundle(bundle: Bundle): Promise<void> {
    const hidden = await hideBundle(bundle)
    if (hidden) await removeBundle(hidden, bundle.workPath)
  }

  async #prepare(
    ns: string,
    container: Container,
    request: CreateTask,
    undo: UndoSteps,
    signal: AbortSignal | undefined,
  ): Promise<PreparedTask | undefined> {
    const config = launchConfigOf(container)
    if (!config) return undefined
    const parts = {
      ...this.#parts,
      namespaceOf: this.#namespaceOf,
      bundleOf: (ns: string, id: string) => bundleOf(this.#parts.roots, ns, id),
    }
    const prepared = await prepareTask(parts, { ns, container, config, signal }, undo)
    const bundle = bundleOf(this.#parts.roots, ns, request.containerId)
    await step('write config.json', () => writeConfig(bundle, prepared.configJson))
    await writeHealthCheck(bundle, config, prepared.configJson, this.#parts.placesOf(ns, request.containerId))
    return prepared
  }

  readonly #namespaceOf = async (ns: string, id: string, type: NamespaceType): Promise<string> => {
    const { status, pid } = await this.#table.get(ns, id).shim.state({ id })
    if (pid === 0 || status === Status.STOPPED)
      throw failedPrecondition(`container "${id}" does not run, so its namespaces cannot be shared`)
    return `/proc/${pid}/ns/${procNamespaceName(type)}`
  }

  #createInShim(
    connection: ShimConnection,
    bundle: Bundle,
    container: Container,
    request: CreateTask,
    prepared: PreparedTask | undefined,
  ): Promise<{ pid: number }> {
    const config = launchConfigOf(container)
    const unnamed = request.stdin === '' && request.stdout === '' && request.stderr === ''
    const streams =
      config && unnamed
        ? { stdin: '', stdout: this.#stdoutOf(bundle, config, container), stderr: '' }
        : { stdin: request.stdin, stdout: request.stdout, stderr: request.stderr }
    return connection.api.create({
      id: bundle.id,
      bundle: bundle.path,
      rootfs: request.rootfs.length > 0 ? request.rootfs : (prepared?.rootfs ?? []),
      terminal: request.terminal || (config?.process?.terminal ?? false),
      ...streams,
      options: runtimeOptions(request, container),
      checkpoint: request.checkpoint ? restoreFolder(bundle) : '',
    })
  }

  #stdoutOf({ namespace, id }: Bundle, config: ContainerConfig, container: Container): string {
    return containerStdout(config, this.#parts.placesOf(namespace, id), () => subjectOf(container))
  }

  #newTask(parts: {
    scope?: Scope | undefined
    bundle: Bundle
    shimPath: string
    connection: ShimConnection
    log: Disposable
    pid: number
    status: Status
    isLaunched: boolean
  }): RunningTask {
    const { namespace, id } = parts.bundle
    return new RunningTask({
      ...parts,
      launched: parts.isLaunched,
      prepareExec: async wish => (parts.isLaunched ? prepareExec(this.#parts, namespace, id, wish) : wish),
    })
  }

  async delete(ns: string, id: string): Promise<Exit> {
    const task = this.#table.get(ns, id)
    if (task.stage === 'closing') return task.lost
    if (task.deletion !== undefined) return step('wait for its deletion', () => task.deletion as Promise<Exit>)
    task.deletion = this.#delete(task).finally(() => {
      task.deletion = undefined
    })
    return task.deletion
  }

  async #delete(task: RunningTask): Promise<Exit> {
    const exit = await this.#deleteInShim(task)
    if (!exit) return task.lost
    task.stage = 'closing'
    step('record the exit', () => this.#parts.lastRuns.exited(task.namespace, task.id, exit))
    await this.#teardown.release(task)
    task.markLost(exit)
    return exit
  }

  /** Undefined: the shim died over it, and the task ends that way. */
  async #deleteInShim(task: RunningTask): Promise<Exit | undefined> {
    try {
      const { pid, exitStatus, exitedAt } = await task.shim.delete({ id: task.id })
      return { pid, exitStatus, exitedAt: exitedAt ?? now() }
    } catch (error) {
      // Deleted in the shim behind our back: what is ours is still to be taken away.
      if (isGantryError(error, 'NOT_FOUND'))
        return task.exit ?? { pid: task.pid, exitStatus: unknownExit, exitedAt: now() }
      if (!isGantryError(error, 'UNAVAILABLE')) throw error
      await this.#shims.lookAfter(task.namespace, task.id)
      if (task.stage !== 'closing') throw error
      return undefined
    }
  }

  #ended(task: RunningTask): void {
    const { namespace, id } = task
    if (!task.launched) return
    void resume(task.scope, () =>
      step('what follows the exit', () => afterExit(this.#parts, namespace, id, () => this.delete(namespace, id))),
    )
  }

  describeRuntime(question: Any): Promise<Any> {
    const { shims, surroundings } = this.#parts
    return runtimeInfo({ shims, environment: surroundings.environment }, question)
  }

  async adopt(): Promise<void> {
    await adoptTasks({
      ...this.#parts,
      table: this.#table,
      teardown: this.#teardown,
      connect: (bundle, bootstrap) => this.#shims.connect(bundle, bootstrap),
      newTask: parts => this.#newTask(parts),
    })
  }

  async close(graceMs: number): Promise<void> {
    this.#stopped.abort()
    this.#pool[Symbol.dispose]()
    await this.#cleanups.allSettled(graceMs)
    for (const task of this.#table.list()) {
      task.connection[Symbol.dispose]()
      task.log[Symbol.dispose]()
    }
    await removeEmptyCgroups(this.#parts.cgroupName)
  }
}
