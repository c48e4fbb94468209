/** The last builds, step by step: what was cached, and what was not and why. */
import type { Store } from '#api/store/store.ts'

export interface LoggedStep {
  /** Place among the instructions, from 1. */
  readonly number: number
  /** As shown: "[build 2/5] RUN make". */
  readonly name: string
  readonly cached: boolean
  /** Empty for what was cached, or needs no cache. */
  readonly reason: string
}

export interface LoggedBuild {
  readonly id: string
  readonly startedAtMs: number
  readonly steps: readonly LoggedStep[]
}

const mostKept = 20

export class BuildLog {
  readonly #store: Store

  constructor(store: Store) {
    this.#store = store
  }

  /** Durable when it returns; the oldest go. */
  record(build: LoggedBuild): void {
    const old = this.list().slice(mostKept - 1)
    this.#store.write(tx => {
      for (const { id } of old) tx.delete(['build', id])
      tx.put(['build', build.id], build)
    })
  }

  /** The build whose id starts so; empty: the last one. */
  find(id: string): LoggedBuild | undefined {
    return this.list().find(build => build.id.startsWith(id))
  }

  /** Newest first. */
  list(): LoggedBuild[] {
    const rows = this.#store.read(tx => [...tx.list<LoggedBuild>(['build'])].map(({ value }) => value))
    return rows.toSorted((a, b) => b.startedAtMs - a.startedAtMs)
  }
}
