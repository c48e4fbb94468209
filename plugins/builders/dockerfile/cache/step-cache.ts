/** Which steps were done before, and what came out: a durable table from a step's key to a layer. */
import { createHash } from 'node:crypto'
import { openStore, type Store } from '#api/store/store.ts'
import type { Layer } from '../solve/stage-state.ts'

/** A finished step. */
export interface CachedStep {
  readonly key: string
  /** As written, for people. */
  readonly instruction: string
  /** Snapshot with the layer on top. */
  readonly chainID: string
  readonly layer: {
    readonly mediaType: string
    readonly digest: string
    readonly size: bigint
    readonly diffID: string
  }
  /** Milliseconds since the epoch. */
  readonly createdAtMs: number
  readonly usedAtMs: number
  readonly uses: number
}

const rowKey = (key: string) => ['step', key] as const

export class StepCache {
  readonly #store: Store

  constructor(store: Store) {
    this.#store = store
  }

  static open(folder: string): StepCache {
    return new StepCache(openStore(folder))
  }

  find(key: string): CachedStep | undefined {
    return this.#store.read(tx => tx.get<CachedStep>(rowKey(key)))
  }

  /** Durable when it returns. */
  record(key: string, instruction: string, chainID: string, { descriptor, diffID }: Layer, nowMs = Date.now()): void {
    const { mediaType, digest, size } = descriptor
    const layer = { mediaType, digest, size, diffID }
    const row: CachedStep = { key, instruction, chainID, layer, createdAtMs: nowMs, usedAtMs: nowMs, uses: 0 }
    this.#store.write(tx => tx.put(rowKey(key), row))
  }

  used(step: CachedStep, nowMs = Date.now()): void {
    this.#store.write(tx => tx.put(rowKey(step.key), { ...step, usedAtMs: nowMs, uses: step.uses + 1 }))
  }

  forget(key: string): void {
    this.#store.write(tx => tx.delete(rowKey(key)))
  }

  /** Least recently used first. */
  list(): CachedStep[] {
    const rows = this.#store.read(tx => [...tx.list<CachedStep>(['step'])].map(({ value }) => value))
    return rows.toSorted((a, b) => a.usedAtMs - b.usedAtMs)
  }

  close(): Promise<void> {
    return this.#store.close()
  }
}

/** Key of a step: of everything that could change what comes out. */
export function stepKey(...inputs: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(inputs)).digest('hex')
}
