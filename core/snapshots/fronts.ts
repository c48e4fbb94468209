import { invalidArgument } from '#api/errors/errors.ts'
import type { Logger } from '#api/log/log.ts'
import type { EventPublisher } from '#core/events/events.ts'
import type { Metadata } from '#core/metadata/metadata.ts'
import { SnapshotterFront } from './front.ts'
import type { NamespacedSnapshotter, SnapshotInfo, Snapshots, SnapshotterBackend } from './snapshots.ts'

export interface FrontsOptions {
  readonly metadata: Metadata
  readonly events: EventPublisher
  readonly logger: Logger
  /**
   * By name: how to reach the backend, its process started when need be. Asked for with every call. A function where
   * snapshotters come and go: it is asked which there are now.
   */
  readonly backends: Backends | (() => Backends)
}

type Backends = Readonly<Record<string, () => Promise<SnapshotterBackend>>>

/** The fronts of all configured snapshotters. */
export class SnapshotterFronts implements Snapshots {
  readonly #options: FrontsOptions
  readonly #made = new Map<string, SnapshotterFront>()

  constructor(options: FrontsOptions) {
    this.#options = options
  }

  /** A front is made once: it remembers what is to be swept. */
  get #fronts(): ReadonlyMap<string, SnapshotterFront> {
    const { backends, logger, ...shared } = this.#options
    const present = typeof backends === 'function' ? backends() : backends
    return new Map(
      Object.entries(present).map(([name, backend]) => {
        const front =
          this.#made.get(name) ??
          new SnapshotterFront({ ...shared, name, backend, logger: logger.child({ snapshotter: name }) })
        this.#made.set(name, front)
        return [name, front]
      }),
    )
  }

  on(snapshotter: string): NamespacedSnapshotter {
    return this.#front(snapshotter)
  }

  #front(snapshotter: string): SnapshotterFront {
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

  isUsed(snapshotter: string): boolean {
    return this.#fronts.get(snapshotter)?.isUsed ?? false
  }

  isSweepDue(snapshotter: string): boolean {
    return this.#fronts.get(snapshotter)?.isSweepDue ?? false
  }

  /** What a backend holds, by its own keys; starts it. INVALID_ARGUMENT when it is not configured. */
  async held(snapshotter: string): Promise<Map<string, SnapshotInfo>> {
    return await this.#front(snapshotter).held()
  }

  /** What a backend holds that no record knows; starts it. INVALID_ARGUMENT when it is not configured. */
  async strays(snapshotter: string): Promise<{ name: string; sizeBytes: number }[]> {
    return await this.#front(snapshotter).strays()
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
