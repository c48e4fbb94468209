import { failedPrecondition, isGantryError, messageOf } from '#api/errors/errors.ts'
import { TaskExit, TaskOOM } from '#api/gen/containerd/events/task.ts'
import type { Descriptor } from '#api/gen/containerd/types/descriptor.ts'
import { type Process, Status } from '#api/gen/containerd/types/task/task.ts'
import type { Any } from '#api/gen/google/protobuf/any.ts'
import type { Logger } from '#api/log/log.ts'
import type { Container, Containers } from '#core/containers/containers.ts'
import type { ContentStore } from '#core/content/content.ts'
import type { EventExchange } from '#core/events/events.ts'
import { type LastRuns, type Launcher, launchConfigOf, type PlacesOf } from '#core/launch/launch.ts'
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
  markSandboxed,
  removeBundle,
  restoreFolder,
  writeBootstrap,
  writeConfig,
} from './bundle.ts'
import { removeEmptyCgroups } from './cgroup-parents.ts'
import { type CheckpointWish, checkpointTask, unpackCheckpoint } from './checkpoints.ts'
import { Cleanups } from './cleanups.ts'
import { prepareExec } from './launched-exec.ts'
import { type PreparedTask, prepareTask } from './launched-task.ts'
import { describeTask } from './process-state.ts'
import { RunningTask } from './running-task.ts'
import { runtimeInfo } from './runtime-info.ts'
import { resolveShim, type ShimPlaces, servingRuntime } from './runtime-name.ts'
import { runtimeOptions, withDefaults } from './runtime-options.ts'
import { connectShim, type ShimConnection } from './shim-connection.ts'
import { followShimLog } from './shim-log.ts'
import { canBePooled, ShimPool } from './shim-pool.ts'
import { type ShimSurroundings, startShim } from './shim-process.ts'
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
}

/** A connection that broke is tried again for so long before the shim counts as dead. */
const reconnectTimeoutMs = 5000

/** containerd's for an end that nobody saw. */
const unknownExit = 255

export class TaskManagerImpl implements TaskManager {
  readonly #parts: TaskManagerParts
  readonly #table = new TaskTable()
  readonly #cleanups: Cleanups
  readonly #teardown: Teardown
  readonly #pool: ShimPool
  readonly #stopped = new AbortController()

  constructor(parts: TaskManagerParts) {
    this.#parts = parts
    this.#pool = new ShimPool(parts)
    this.#cleanups = new Cleanups(parts.logger)
    this.#teardown = new Teardown({ ...parts, table: this.#table, cleanups: this.#cleanups })
    void this.#watchExits().catch(error => parts.logger.error({ err: error }, 'exits are not followed any more'))
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
    const record = await this.#parts.containers.get(ns, id)
    const { name, options = request.options } = record.runtime
    const served = servingRuntime(name, options, this.#parts.shims)
    const runtime = request.runtimePath || served
    const { path: shimPath, options: defaults } = await resolveShim(runtime, this.#parts.shims)
    const container = withDefaults(record, defaults)
    await using undo = new UndoSteps(this.#parts.logger)
    this.#table.reserve(ns, id)
    undo.defer(() => this.#table.release(ns, id))
    await this.#cleanups.settled(ns, id)
    const bundle = bundleOf(this.#parts.roots, ns, id)
    await claimBundle(bundle)
    undo.defer(() => this.#dropBundle(bundle))
    const configJson = container.spec.value
    await fillBundle(bundle, configJson, shimPath)
    const startOwn = () =>
      this.#startShim(bundle, shimPath, { options: runtimeOptions(request, container), configJson }, undo)
    if (request.checkpoint) await unpackCheckpoint(this.#parts.content, ns, request.checkpoint, restoreFolder(bundle))
    const log = await followShimLog(bundle, this.#parts.logger)
    undo.defer(() => log[Symbol.dispose]())
    const [connection, prepared] = await sideBySide(
      container.sandbox === '' ? startOwn() : this.#joinSandbox(bundle, container.sandbox, undo, startOwn),
      this.#prepare(ns, container, request, undo, signal),
    )
    const { pid } = await this.#createInShim(connection, bundle, container, request, prepared)
    const task = this.#newTask({
      bundle,
      shimPath,
      connection,
      log,
      pid,
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

  async start(ns: string, id: string, execId: string): Promise<{ pid: number }> {
    const task = this.#table.get(ns, id)
    if (execId !== '' || !task.launched) return task.shim.start({ id, execId })
    const before = this.#parts.lastRuns.started(ns, id, task.pid)
    try {
      return await task.shim.start({ id, execId })
    } catch (error) {
      this.#parts.lastRuns.failed(ns, id, before, messageOf(error))
      throw error
    }
  }

  async #dropBundle(bundle: Bundle): Promise<void> {
    const hidden = await hideBundle(bundle)
    if (hidden) await removeBundle(hidden, bundle.workPath)
  }

  /** The shim is recorded as soon as it is known: a restart of this daemon finds it by that. */
  async #startShim(
    bundle: Bundle,
    shimPath: string,
    { options, configJson }: { options: Any | undefined; configJson: Uint8Array },
    undo: UndoSteps,
  ): Promise<ShimConnection> {
    let connection: ShimConnection | undefined
    undo.defer(() => this.#teardown.destroyShim(bundle, shimPath, connection))
    const bootstrap =
      (await this.#waitingShim(shimPath, bundle, options, configJson)) ??
      (await startShim(shimPath, bundle, options, this.#parts.surroundings))
    connection = this.connect(bundle, bootstrap)
    await writeBootstrap(bundle, bootstrap)
    return connection
  }

  /** Undefined: start one. */
  async #waitingShim(
    shimPath: string,
    bundle: Bundle,
    options: Any | undefined,
    configJson: Uint8Array,
  ): Promise<Bootstrap | undefined> {
    if (!canBePooled(shimPath, options, configJson)) return undefined
    try {
      return await this.#pool.take(shimPath, bundle)
    } catch (error) {
      this.#parts.logger.warn({ ns: bundle.namespace, id: bundle.id, err: error }, 'a shim is started instead')
      return undefined
    }
  }

  /** The shim of the sandbox serves its tasks too; where it does not, the task gets one of its own. */
  async #joinSandbox(
    bundle: Bundle,
    sandboxId: string,
    undo: UndoSteps,
    startOwn: () => Promise<ShimConnection>,
  ): Promise<ShimConnection> {
    const bootstrap = await this.#parts.shimOfSandbox(bundle.namespace, sandboxId)
    if (!bootstrap) return startOwn()
    await markSandboxed(bundle, sandboxId)
    const connection = this.connect(bundle, bootstrap)
    undo.defer(() => this.#teardown.leaveSandbox(bundle.id, connection))
    await writeBootstrap(bundle, bootstrap)
    return connection
  }

  /** Connects; a connection that ends later has its shim looked after. */
  connect(bundle: Bundle, bootstrap: Bootstrap): ShimConnection {
    const { namespace, id } = bundle
    return connectShim(bootstrap, {
      namespace,
      peer: `the shim of ${id}`,
      onClosed: () => {
        this.#lookAfter(namespace, id).catch(error =>
          this.#parts.logger.error(
            { ns: namespace, id, err: error },
            'a task whose shim is gone could not be taken away',
          ),
        )
      },
    })
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
    await writeConfig(bundleOf(this.#parts.roots, ns, request.containerId), prepared.configJson)
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
        ? { stdin: '', stdout: containerStdout(config, this.#parts.placesOf(bundle.namespace, bundle.id)), stderr: '' }
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

  #newTask(parts: {
    bundle: Bundle
    shimPath: string
    connection: ShimConnection
    log: Disposable
    pid: number
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
    task.deletion ??= this.#delete(task).finally(() => {
      task.deletion = undefined
    })
    return task.deletion
  }

  async #delete(task: RunningTask): Promise<Exit> {
    const exit = await this.#deleteInShim(task)
    if (!exit) return task.lost
    task.stage = 'closing'
    this.#parts.lastRuns.exited(task.namespace, task.id, exit)
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
      await this.#lookAfter(task.namespace, task.id)
      if (task.stage !== 'closing') throw error
      return undefined
    }
  }

  /** A connection ended: is the shim there still? */
  async #lookAfter(ns: string, id: string): Promise<void> {
    const task = this.#table.find(ns, id)
    if (!task || task.stage === 'closing' || this.#stopped.signal.aborted) return
    const connection = this.connect(task.bundle, task.connection.bootstrap)
    try {
      await connection.api.connect({ id }, { deadlineMs: reconnectTimeoutMs })
      task.connection = connection
    } catch (error) {
      connection[Symbol.dispose]()
      this.#parts.logger.debug({ ns, id }, `shim does not answer: ${messageOf(error)}`)
      await this.#teardown.bury(task)
    }
  }

  /**
   * Records how containers ended; remembers it of tasks too, so that a shim that dies afterwards causes no second exit
   * event; takes away what was to go.
   */
  async #watchExits(): Promise<void> {
    const filters = ['topic=="/tasks/exit"', 'topic=="/tasks/oom"']
    for await (const { namespace, topic, event } of this.#parts.exchange.subscribe(filters, this.#stopped.signal)) {
      if (!event) continue
      try {
        this.#told(namespace, topic, event.value)
      } catch (err) {
        // Clients may publish whatever they like.
        this.#parts.logger.warn({ ns: namespace, topic, err }, 'an event that says nothing was passed over')
      }
    }
  }

  #told(namespace: string, topic: string, value: Buffer): void {
    if (topic === '/tasks/oom') this.#parts.lastRuns.oomKilled(namespace, TaskOOM.decode(value).containerId)
    else this.#ended(namespace, TaskExit.decode(value))
  }

  #ended(namespace: string, { containerId, id, pid, exitStatus, exitedAt = now() }: TaskExit): void {
    if (id !== containerId) return
    this.#parts.lastRuns.exited(namespace, containerId, { exitStatus, exitedAt })
    const task = this.#table.find(namespace, containerId)
    if (!task) return
    task.exit = { pid, exitStatus, exitedAt }
    if (task.launched) void afterExit(this.#parts, namespace, containerId, () => this.delete(namespace, containerId))
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
      connect: (bundle, bootstrap) => this.connect(bundle, bootstrap),
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
