import { invalidArgument } from '#api/errors/errors.ts'
import type { Logger } from '#api/log/log.ts'
import type { EventPublisher } from '#core/events/events.ts'
import type { Metadata } from '#core/metadata/metadata.ts'
import { SnapshotterFront } from './front.ts'
import type { NamespacedSnapshotter, Snapshots, SnapshotterBackend } from './snapshots.ts'

export interface FrontsOptions {
  readonly metadata: Metadata
  readonly events: EventPublisher
  readonly logger: Logger
  /** By name: how to reach the backend, its process started when need be. Asked for with every call. */
  readonly backends: Readonly<Record<string, () => Promise<SnapshotterBackend>>>
}

/** The fronts of all configured snapshotters. */
export class SnapshotterFronts implements Snapshots {
  readonly #fronts: ReadonlyMap<string, SnapshotterFront>

  constructor({ backends, logger, ...shared }: FrontsOptions) {
    this.#fronts = new Map(
      Object.entries(backends).map(([name, backend]) => [
        name,
        new SnapshotterFront({ ...shared, name, backend, logger: logger.child({ snapshotter: name }) }),
      ]),
    )
  }

  on(snapshotter: string): NamespacedSnapshotter {
    if (snapshotter === '') throw invalidArgument('snapshotter argument missing')
    const front = this.#fronts.get(snapshotter)
    if (front === undefined) throw invalidArgument(`snapshotter not loaded: ${snapshotter}`)
    return front
  }

  names(): string[] {
    return [...this.#fronts.keys()].toSorted()
  }

  /** A collection dropped records of these snapshotters. */
  markDirty(snapshotters: Iterable<string>): void {
    for (const name of snapshotters) this.#fronts.get(name)?.markDirty()
  }

  /** What {@link sweep} would remove now. */
  async leftovers(): Promise<{ snapshotter: string; name: string; sizeBytes: number }[]> {
    const found = await Promise.all(
      Array.from(this.#fronts, async ([snapshotter, front]) =>
        (await front.leftovers()).map(leftover => ({ snapshotter, ...leftover })),
      ),
    )
    return found.flat()
  }

  /** Removes from each backend what no record knows; all are tried, the first failure is thrown. */
  async sweep(): Promise<void> {
    const outcomes = await Promise.allSettled(Array.from(this.#fronts.values(), front => front.sweep()))
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
  }
}
