/** What must be known of a container's restarts after this daemon died: below `['restarts', ns, id]`. */
import type { Key, Metadata } from '#core/metadata/metadata.ts'

export interface RestartRecord {
  /** Restarts since it was last started by somebody. */
  readonly count: number
  readonly stoppedByHand: boolean
}

const fresh: RestartRecord = { count: 0, stoppedByHand: false }

const key = (ns: string, id: string): Key => ['restarts', ns, id]

export class RestartRecords {
  readonly #metadata: Metadata

  constructor(metadata: Metadata) {
    this.#metadata = metadata
  }

  get(ns: string, id: string): RestartRecord {
    return this.#metadata.read(tx => tx.get<RestartRecord>(key(ns, id))) ?? fresh
  }

  /** Writes nothing where nothing changes: most containers are never restarted. */
  set(ns: string, id: string, change: Partial<RestartRecord>): void {
    const current = this.get(ns, id)
    const next = { ...current, ...change }
    if (next.count === current.count && next.stoppedByHand === current.stoppedByHand) return
    this.#metadata.write(tx => tx.put(key(ns, id), next))
  }

  forget(ns: string, id: string): void {
    if (this.get(ns, id) !== fresh) this.#metadata.write(tx => void tx.delete(key(ns, id)))
  }
}
