import { failedPrecondition, isGantryError } from '#api/errors/errors.ts'
import type { Container, ContainerSpec, Containers } from '#core/containers/containers.ts'
import type { Snapshots } from '#core/snapshots/snapshots.ts'
import type { ContainerNames } from './container-names.ts'
import type { LastRuns } from './last-runs.ts'
import { launchConfigOf } from './launch-config.ts'

export interface LaunchedContainersParts {
  records: Containers
  snapshots: { on(snapshotter: string): Pick<ReturnType<Snapshots['on']>, 'remove'> }
  /** `departing` before the record goes, `depart` after it: its folder goes, once the log in it has been read. */
  logs: {
    departing(ns: string, container: Container): Promise<void>
    depart(ns: string, id: string): Promise<void>
  }
  lastRuns: LastRuns
  names: ContainerNames
  /** Whether the container has a task. */
  hasTask(ns: string, id: string): boolean
}

/**
 * Container records whose removal takes along what a launched container owns: its snapshot, its log and its files.
 * What is to become of its log is noted, then the record goes; a crash after that leaves a snapshot to garbage collection
 * and a folder to the next start.
 */
export class LaunchedContainers implements Containers {
  readonly #parts: LaunchedContainersParts

  constructor(parts: LaunchedContainersParts) {
    this.#parts = parts
  }

  get(ns: string, id: string): Promise<Container> {
    return this.#parts.records.get(ns, id)
  }

  list(ns: string, filters?: readonly string[]): Promise<Container[]> {
    return this.#parts.records.list(ns, filters)
  }

  listInSteps(ns: string): AsyncIterable<Container[]> {
    return this.#parts.records.listInSteps(ns)
  }

  create(ns: string, container: ContainerSpec): Promise<Container> {
    return this.#parts.records.create(ns, container)
  }

  update(ns: string, container: ContainerSpec, fieldPaths?: readonly string[]): Promise<Container> {
    return this.#parts.records.update(ns, container, fieldPaths)
  }

  /** As the contract; FAILED_PRECONDITION for a launched container with a task: its root would go under it. */
  async delete(ns: string, id: string): Promise<void> {
    const { records, snapshots, logs, lastRuns, names, hasTask } = this.#parts
    const container = await records.get(ns, id)
    const config = launchConfigOf(container)
    if (!config) return records.delete(ns, id)
    if (hasTask(ns, id)) throw failedPrecondition(`container "${id}" has a task: kill and delete the task first`)
    await logs.departing(ns, container)
    await records.delete(ns, id)
    names.release(ns, config.name, id)
    lastRuns.forget(ns, id)
    await removeSnapshot(snapshots, ns, container)
    await logs.depart(ns, id)
  }
}

async function removeSnapshot(
  snapshots: LaunchedContainersParts['snapshots'],
  ns: string,
  container: Container,
): Promise<void> {
  try {
    await snapshots.on(container.snapshotter).remove(ns, container.snapshotKey)
  } catch (error) {
    // A container that was never started has none.
    if (!isGantryError(error, 'NOT_FOUND')) throw error
  }
}
