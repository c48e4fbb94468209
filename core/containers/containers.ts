/**
 * Containers: records of what is to run. Nothing runs by them; a task does (core/tasks).
 *
 * A record names its runtime, holds the OCI runtime specification as an opaque message (passed to the shim byte for
 * byte, never decoded and encoded again) and keeps its root filesystem's snapshot from garbage collection.
 * `extensions` are other people's data by name, equally opaque.
 */
import type { Any } from '#api/gen/google/protobuf/any.ts'
import type { Timestamp } from '#api/gen/google/protobuf/timestamp.ts'

export interface ContainerRuntime {
  /** Dotted name that leads to the shim's executable, or its absolute path. */
  readonly name: string
  readonly options?: Any | undefined
}

/** What a caller says of a container. */
export interface ContainerSpec {
  /** Unique in its tenant namespace; an identifier. */
  readonly id: string
  readonly labels?: Readonly<Record<string, string>>
  /** Image name, informative. */
  readonly image?: string
  readonly runtime: ContainerRuntime
  readonly spec: Any
  readonly snapshotter?: string
  readonly snapshotKey?: string
  readonly extensions?: Readonly<Record<string, Any>>
  readonly sandbox?: string
}

export interface Container extends Required<ContainerSpec> {
  readonly createdAt: Timestamp
  readonly updatedAt: Timestamp
}

export interface Containers {
  /** NOT_FOUND. */
  get(ns: string, id: string): Promise<Container>

  /** Records that match one of `filters` (`id`, `image`, `runtime.name`, `labels`), by id. */
  list(ns: string, filters?: readonly string[]): Promise<Container[]>

  /** All of them, a few at a time: as `Metadata.listInSteps`. */
  listInSteps(ns: string): AsyncIterable<Container[]>

  /**
   * Stores a new record. ALREADY_EXISTS; INVALID_ARGUMENT for a bad id, label or extension name, and for a record
   * without runtime or specification.
   */
  create(ns: string, container: ContainerSpec): Promise<Container>

  /**
   * Changes a record: `labels`, `labels.<key>`, `image`, `spec`, `snapshotkey`, `extensions`, `extensions.<name>` in
   * `fieldPaths`; none means all of these. NOT_FOUND; INVALID_ARGUMENT for another path, and for a changed
   * snapshotter or runtime name.
   */
  update(ns: string, container: ContainerSpec, fieldPaths?: readonly string[]): Promise<Container>

  /** Removes a record; the caller deletes the task first. NOT_FOUND. */
  delete(ns: string, id: string): Promise<void>
}

export { ContainerStore } from './container-store.ts'
export { containersService } from './service.ts'
