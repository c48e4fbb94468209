/**
 * How each launched container fared the last time it was started: recorded before its process is, and again when it has
 * ended, so that tools know it whatever becomes of the task, its shim or this daemon.
 *
 * Stored below `['last-runs', ns, id]`; goes with the container's record.
 */
import type { Health } from '#api/gen/gantry/health/v1/health.ts'
import type { LastRun, OomReport } from '#api/gen/gantry/services/containers/v1/containers.ts'
import type { Timestamp } from '#api/gen/google/protobuf/timestamp.ts'
import { type Key, type Metadata, now } from '#core/metadata/metadata.ts'

export interface RunEnd {
  exitStatus: number
  exitedAt: Timestamp
}

const key = (ns: string, id: string): Key => ['last-runs', ns, id]

const never: LastRun = {
  startedAt: undefined,
  exitedAt: undefined,
  exitStatus: 0,
  pid: 0,
  oomKilled: false,
  error: '',
  health: undefined,
  oom: undefined,
}

export class LastRuns {
  readonly #metadata: Metadata

  constructor(metadata: Metadata) {
    this.#metadata = metadata
  }

  /** Undefined: it was never started. */
  get(ns: string, id: string): LastRun | undefined {
    return this.#metadata.read(tx => tx.get<LastRun>(key(ns, id)))
  }

  /** Before its process starts. Answers what was recorded, for {@link failed}. */
  started(ns: string, id: string, pid: number): LastRun | undefined {
    return this.#change(ns, id, () => ({ ...never, startedAt: now(), pid }))
  }

  /** It did not start after all: `before` stands again, with the reason. */
  failed(ns: string, id: string, before: LastRun | undefined, error: string): void {
    this.#change(ns, id, () => ({ ...(before ?? never), error, exitStatus: before?.exitStatus ?? 127 }))
  }

  /** The first report of an end counts. */
  exited(ns: string, id: string, { exitStatus, exitedAt }: RunEnd): void {
    this.#change(ns, id, run => (run?.startedAt && !run.exitedAt ? { ...run, exitStatus, exitedAt } : undefined))
  }

  /** What its health check found. */
  healthChanged(ns: string, id: string, health: Health): void {
    this.#change(ns, id, run => run && { ...run, health })
  }

  /** What was found out about that. */
  oomReported(ns: string, id: string, oom: OomReport): void {
    this.#change(ns, id, run => run && { ...run, oom })
  }

  oomKilled(ns: string, id: string): void {
    this.#change(ns, id, run => run && { ...run, oomKilled: true })
  }

  /** Runs whose end is not recorded. */
  open(): { namespace: string; id: string }[] {
    return this.#metadata.read(tx =>
      Array.from(tx.list<LastRun>(['last-runs'])).flatMap(({ key: [, namespace, id], value }) =>
        value.startedAt && !value.exitedAt ? [{ namespace: String(namespace), id: String(id) }] : [],
      ),
    )
  }

  forget(ns: string, id: string): void {
    this.#metadata.write(tx => void tx.delete(key(ns, id)))
  }

  #change(ns: string, id: string, next: (run: LastRun | undefined) => LastRun | undefined): LastRun | undefined {
    // Tasks of other clients have no run: no transaction for them.
    if (next(this.get(ns, id)) === undefined) return undefined
    return this.#metadata.write(tx => {
      const current = tx.get<LastRun>(key(ns, id))
      const changed = next(current)
      if (changed) tx.put(key(ns, id), changed)
      return current
    })
  }
}
