/** Which steps were done before, of what, and what came out: a durable table from a step's key to a layer. */
import type { Store } from '#api/store/store.ts'
import type { Layer } from '../solve/stage-state.ts'
import { inputDigests, type StepWork, stepKey } from './step-work.ts'

/** A finished step. */
export interface CachedStep {
  readonly key: string
  /** As written, for people. */
  readonly instruction: string
  /** Snapshot it was done on; empty: none. */
  readonly parent: string
  /** Snapshot with the layer on top; the parent when there is none. */
  readonly chainID: string
  /** Undefined: the step changed nothing. */
  readonly layer:
    | { readonly mediaType: string; readonly digest: string; readonly size: bigint; readonly diffID: string }
    | undefined
  /** Milliseconds since the epoch. */
  readonly createdAtMs: number
  readonly usedAtMs: number
  readonly uses: number
}

const rowKey = (key: string) => ['step', key] as const
/** Beside the rows, for only an explanation reads them. */
const inputsKey = (key: string) => ['inputs', key] as const

function rowOf({ descriptor: { mediaType, digest, size }, diffID }: Layer) {
  return { mediaType, digest, size, diffID }
}

export class StepCache {
  readonly #store: Store

  constructor(store: Store) {
    this.#store = store
  }

  find(key: string): CachedStep | undefined {
    return this.#store.read(tx => tx.get<CachedStep>(rowKey(key)))
  }

  /** Durable when it returns. */
  record(work: StepWork, chainID: string, made: Layer | undefined, nowMs = Date.now()): void {
    const layer = made && rowOf(made)
    const key = stepKey(work)
    const { text: instruction, parent } = work
    const times = { createdAtMs: nowMs, usedAtMs: nowMs, uses: 0 }
    const row: CachedStep = { key, instruction, parent, chainID, layer, ...times }
    this.#store.write(tx => {
      tx.put(rowKey(key), row)
      tx.put(inputsKey(key), inputDigests(work))
    })
  }

  used(step: CachedStep, nowMs = Date.now()): void {
    this.#store.write(tx => tx.put(rowKey(step.key), { ...step, usedAtMs: nowMs, uses: step.uses + 1 }))
  }

  forget(key: string): void {
    this.#store.write(tx => {
      tx.delete(rowKey(key))
      tx.delete(inputsKey(key))
    })
  }

  /** Digest of each input by name; empty for a step that is not known. */
  inputs(key: string): Readonly<Record<string, string>> {
    return this.#store.read(tx => tx.get<Record<string, string>>(inputsKey(key))) ?? {}
  }

  /** Least recently used first. */
  list(): CachedStep[] {
    const rows = this.#store.read(tx => [...tx.list<CachedStep>(['step'])].map(({ value }) => value))
    return rows.toSorted((a, b) => a.usedAtMs - b.usedAtMs)
  }
}
