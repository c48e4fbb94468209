/** Which steps were done before, of what, and what came out: a durable table from a step's key to a layer. */
import type { Store } from '#api/store/store.ts'
import { RootMemory } from '../files/root-source.ts'
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
  /** Of the roots that steps led to, and stand on. */
  readonly roots = new RootMemory()
  readonly #store: Store
  /** Uses that are not in the table yet, by key: one write for all of a build's. */
  readonly #uses = new Map<string, CachedStep>()
  /** When builds that run now began. */
  readonly #running = new Set<{ readonly startedAtMs: number }>()

  constructor(store: Store) {
    this.#store = store
  }

  /** A build runs until it is disposed of: what it found here stays. */
  building(): Disposable {
    const build = { startedAtMs: Date.now() }
    this.#running.add(build)
    return {
      [Symbol.dispose]: () => {
        this.#running.delete(build)
        this.#writeUses()
      },
    }
  }

  /** True for what a running build may stand on. */
  isInUse({ usedAtMs }: Pick<CachedStep, 'usedAtMs'>): boolean {
    return [...this.#running].some(({ startedAtMs }) => usedAtMs >= startedAtMs)
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

  /** Durable at the end of the build. */
  used(step: CachedStep, nowMs = Date.now()): void {
    const known = this.#uses.get(step.key) ?? step
    this.#uses.set(step.key, { ...known, usedAtMs: nowMs, uses: known.uses + 1 })
  }

  #writeUses(): void {
    if (this.#uses.size === 0) return
    this.#store.write(tx => {
      for (const [key, { usedAtMs, uses }] of this.#uses) {
        // It may have been made anew, or forgotten, since.
        const row = tx.get<CachedStep>(rowKey(key))
        if (row !== undefined) tx.put(rowKey(key), { ...row, usedAtMs, uses })
      }
    })
    this.#uses.clear()
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
    this.#writeUses()
    const rows = this.#store.read(tx => [...tx.list<CachedStep>(['step'])].map(({ value }) => value))
    return rows.toSorted((a, b) => a.usedAtMs - b.usedAtMs)
  }
}
