/**
 * Tasks: containers that run. Each has a *shim*, a process that outlives this daemon and owns the container's processes,
 * standard streams and exit status. What is known of a task is asked of its shim; here is only the way to it.
 *
 * ## Life
 * `create` makes the *bundle* (a directory with config.json, by which the task is found again), the root, the networks and
 * the shim side by side, then the shim's `Create`: a process that waits. `Start`, `Kill`, `Exec` and the rest go to the shim.
 * `delete` takes the stopped task away: the shim's `Delete`, the networks, the bundle's name; slow clean-up follows behind.
 *
 * ## Who may die
 * - This daemon, at any instant: the containers do not notice. {@link TaskManager.adopt} finds the bundles again, connects to
 *   their shims, and takes away what a call that was under way had begun (no shim answers for it).
 * - A shim: its container's processes are killed by its runtime's `delete`, exit (137) and delete events are
 *   published in its name, and the task is gone.
 *
 * ## On disk (containerd's, so that its shims work here)
 * `<state>/io.containerd.runtime.v2.task/<ns>/<id>/`: `config.json`, `rootfs/`, `work` (link to the same path below the root),
 * `log` (FIFO of the shim's own messages), `shim-binary-path`, `bootstrap.json`. A bundle whose name starts with a dot is
 * on its way out.
 */
import type { Descriptor } from '#api/gen/containerd/types/descriptor.ts'
import type { Mount } from '#api/gen/containerd/types/mount.ts'
import type { Process } from '#api/gen/containerd/types/task/task.ts'
import type { Any } from '#api/gen/google/protobuf/any.ts'
import type { Timestamp } from '#api/gen/google/protobuf/timestamp.ts'
import type { CheckpointWish } from './checkpoints.ts'
import type { ShimApi } from './shim-connection.ts'

export type { Bootstrap, BundleRoots } from './bundle.ts'
export { TaskManagerImpl, type TaskManagerParts } from './manager.ts'
export { type RefreshParts, refreshEtcFiles } from './refresh-etc-files.ts'
export type { ShimPlaces } from './runtime-name.ts'
export { tasksService } from './service.ts'
export type { ShimApi } from './shim-connection.ts'
export type { ShimSurroundings } from './shim-process.ts'
export { Shims } from './shims.ts'
export { shimSocketFolder } from './socket-folder.ts'

/** How a process ended. */
export interface Exit {
  pid: number
  /** Exit code, or 128 + signal; 137 and 255 also stand for "its shim died". */
  exitStatus: number
  exitedAt: Timestamp
}

/** A created task. */
export interface Task {
  readonly namespace: string
  readonly id: string
  /** Process id of the container's first process on the host. */
  readonly pid: number
  readonly shim: ShimApi
  /** Executable its shim was started by. */
  readonly shimPath: string
  /** Settles when the shim died without having been asked to: how the container's first process ended. */
  readonly lost: Promise<Exit>
  /** What the core adds to a further process of a launched container: numbers for its user, standard streams when none are named. */
  prepareExec(request: ExecWish): Promise<ExecWish>
}

export interface ExecWish {
  execId: string
  /** OCI process as JSON. */
  spec: Any | undefined
  stdin: string
  stdout: string
  stderr: string
}

export interface CreateTask {
  containerId: string
  /** Mounts of the root, in order; empty for a launched container, and where the spec's root is a finished directory. */
  rootfs: readonly Mount[]
  stdin: string
  stdout: string
  stderr: string
  terminal: boolean
  /** Runtime options of this task; undefined: those of the container. */
  options?: Any | undefined
  /** Blob of an earlier {@link TaskManager.checkpoint} to go on from; undefined: a fresh start. */
  checkpoint?: Descriptor | undefined
  /** Absolute path of a shim's executable instead of the container's runtime; empty: none. */
  runtimePath: string
}

/** Told, before it is done, what a client asks for: restart policies tell it from what happens by itself. */
export interface ClientWishes {
  /** The start of a first process. */
  starting(ns: string, id: string): Promise<void>
  /** A signal to a first process. True: it ends a restart that was under way, so there may be no process by now. */
  killing(ns: string, id: string, signal: number): Promise<boolean>
}

export interface TaskManager {
  /**
   * Creates the task of a container record. NOT_FOUND: the record, its image's layers. ALREADY_EXISTS: it has a task.
   * Whatever the networks and the runtime refuse comes through. After an error nothing of the task is left.
   */
  create(ns: string, request: CreateTask, signal?: AbortSignal): Promise<Task>

  /** Starts the created first process (empty `execId`) or an exec; of a launched container the run is recorded. */
  start(ns: string, id: string, execId: string): Promise<{ pid: number }>

  /**
   * Stores what the task is doing now; it goes on unless the options (containerd.runc.v1.CheckpointOptions) say `exit`.
   * Answers the blobs; none when the options name a folder. NOT_FOUND; what the runtime refuses (no CRIU) comes through.
   */
  checkpoint(ns: string, id: string, wish: CheckpointWish): Promise<Descriptor[]>

  /** NOT_FOUND, also while the task is being created. */
  get(ns: string, id: string): Task

  has(ns: string, id: string): boolean

  /** State of the first process, status UNKNOWN when its shim does not answer; undefined without a task. */
  describe(ns: string, id: string): Promise<Process | undefined>

  /** The same as far as is known here: its shim is not asked. */
  known(ns: string, id: string): Process | undefined

  /** FAILED_PRECONDITION: it does not run. */
  pause(ns: string, id: string): Promise<void>

  /** FAILED_PRECONDITION: it is not paused. */
  resume(ns: string, id: string): Promise<void>

  /** Somebody was told of its first process' end, perhaps before the event of it is here. */
  noteEnd(ns: string, id: string, exit: Exit): void

  /** By id. */
  list(ns: string): Task[]

  /** Removes a stopped task and answers how it ended. FAILED_PRECONDITION while it runs; NOT_FOUND. */
  delete(ns: string, id: string): Promise<Exit>

  /** What a runtime says of itself ({@link runtimeInfo}). */
  describeRuntime(question: Any): Promise<Any>

  /** At start, before the first call: takes over running shims, and takes away what nobody owns. */
  adopt(): Promise<void>

  /** Lets go of every shim, which live on; waits (at most `graceMs`) for clean-up under way. */
  close(graceMs: number): Promise<void>
}
