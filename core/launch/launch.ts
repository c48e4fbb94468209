/**
 * Launch: containers made from an image and some wishes (`gantry.services.containers.v1`).
 *
 * What it makes is an ordinary container record, with the wishes kept as an extension of it. By that extension the rest
 * of the core knows the container as *launched*: core/tasks then prepares its root, its networks and its files by
 * itself, and deleting the record takes snapshot, log and files along.
 *
 * Nothing runs and nothing is mounted by {@link Launcher.create}: it unpacks the image if need be, composes the OCI runtime
 * spec (core/spec) and writes one record. The snapshot of the image's top layer is kept by a label of the record until
 * the container's own snapshot exists, so that the image may be removed in between.
 */
import type { Process } from '#api/gen/containerd/types/task/task.ts'
import type { Health } from '#api/gen/gantry/health/v1/health.ts'
import type { ContainerConfig, LastRun, RestartState } from '#api/gen/gantry/services/containers/v1/containers.ts'
import type { Any } from '#api/gen/google/protobuf/any.ts'
import type { Timestamp } from '#api/gen/google/protobuf/timestamp.ts'
import type { Container } from '#core/containers/containers.ts'
import type { AttachmentRecord } from '#core/networks/networks.ts'

export { ChangedContainers } from './changed-containers.ts'
export { ContainerNames } from './container-names.ts'
export { containerWishes, LaunchedContainerNetworks } from './container-networks.ts'
export { type ShimHealthCheck, shimHealthCheck } from './health-check.ts'
export { LastRuns } from './last-runs.ts'
export { launchConfigOf } from './launch-config.ts'
export { LaunchedContainers } from './launched-containers.ts'
export { LauncherImpl, type LauncherSettings } from './launcher.ts'
export { type Places, type PlacesOf, placesUnder } from './places.ts'
export { parsePolicy, type RestartPolicy, restartPolicyOf, wantsRestart } from './restart-policy.ts'
export { launchService } from './service.ts'

/** Where a process' streams are; both belong to its shim. */
export interface StreamPaths {
  attachSocket: string
  /** Empty: no log is kept. */
  logFile: string
  /** Of the container; empty without a health check. */
  healthSocket: string
}

export interface Launched {
  id: string
  paths: StreamPaths
  /** Wishes that this host cannot fulfil as asked. */
  warnings: string[]
}

export interface Inspection {
  config: ContainerConfig
  paths: StreamPaths
  attachments: readonly AttachmentRecord[]
  /** Undefined: it was never started. */
  lastRun: LastRun | undefined
  task: Process | undefined
  restart: RestartState
  /** Undefined: it has no check of ours, or nothing has been found yet. */
  health: Health | undefined
  createdAt: Timestamp
  extensions: Readonly<Record<string, Any>>
  labels: Readonly<Record<string, string>>
}

/** What an update changes; what is left out stays. */
export interface Changes {
  /** The whole configuration; image, id, snapshotter and runtime are kept. */
  config: ContainerConfig | undefined
  /** Replaced one by one; an empty message takes one away. */
  extensions: Readonly<Record<string, Any>>
  /** Empty: it stays. */
  name: string
}

/** Some of what has changed. */
export interface Changed {
  /** What these lead to: to ask with the next time. */
  mark: string
  /** All there are come, instead of what has changed. */
  isComplete: boolean
  containers: Inspection[]
  /** Ids. */
  removed: string[]
  /** Ids of networks by name; in the first answer alone. */
  networks: Readonly<Record<string, string>>
}

export interface Launcher {
  /**
   * Records a container. NOT_FOUND: the image, its content for the platform, a network. ALREADY_EXISTS: the id, the name.
   * INVALID_ARGUMENT names the field; NOT_IMPLEMENTED for what is not there yet. `extensions` are the client's own.
   */
  create(
    ns: string,
    config: ContainerConfig,
    extensions?: Readonly<Record<string, Any>>,
    signal?: AbortSignal,
  ): Promise<Launched>

  /** By id, name or prefix of the id. NOT_FOUND also for containers that were not launched; INVALID_ARGUMENT: several ids fit. */
  inspect(ns: string, reference: string, execId: string): Promise<Inspection>

  /** Every launched container, by id. No shim is asked: of its task is told what is known here. */
  list(ns: string): Promise<Inspection[]>

  /**
   * The same, of those that have changed since an earlier answer's mark (changed-containers.ts) and of `again`; in parts, so
   * that thousands fit. At least one part comes.
   */
  changes(ns: string, mark: string, again: readonly string[]): AsyncIterable<Changed>

  /** Answers warnings. A new configuration is that of the next start. Errors as of {@link create} and {@link inspect}. */
  update(ns: string, reference: string, changes: Changes, signal?: AbortSignal): Promise<string[]>

  /** Name of the committed snapshot that a launched container's root builds on; unpacks the image again if it is gone. */
  rootParent(ns: string, container: Container, signal?: AbortSignal): Promise<string>
}
