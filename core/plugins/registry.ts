/**
 * What an administrator has decided about plugins, durably: one record for each plugin somebody decided about. What is
 * installed is not in here; that is what the plugin directories hold.
 *
 * ```
 * ['plugin', kind, id]   Decision
 * ```
 */
import type { Key, Store } from '#api/store/store.ts'
import type { PluginKind } from './kinds.ts'
import { noStep, type StepHook } from './step.ts'

export interface Decision {
  readonly disabled?: boolean
  /** Path of the manifest chosen among several of one plugin. Absent, or no longer there: the newest. */
  readonly chosen?: string
  /** Path of the manifest that `rollback` goes back to. */
  readonly previous?: string
  /** Its configuration; the file's table goes over it. */
  readonly config?: Readonly<Record<string, unknown>>
  /** It is being removed: its folders go, with `and its data` that too, then this record. */
  readonly removing?: 'alone' | 'and its data'
}

export interface Decided extends Decision {
  readonly kind: PluginKind
  readonly id: string
}

export class PluginRegistry {
  readonly #store: Store
  readonly #step: StepHook

  constructor(store: Store, step: StepHook = noStep) {
    this.#store = store
    this.#step = step
  }

  get(kind: PluginKind, id: string): Decision {
    return this.#store.read(tx => tx.get<Decision>(keyOf(kind, id))) ?? {}
  }

  list(): Decided[] {
    return this.#store.read(tx =>
      Array.from(tx.list<Decision>(['plugin']), ({ key, value }) => ({
        ...value,
        kind: key[1] as PluginKind,
        id: String(key[2]),
      })),
    )
  }

  /** Changes the given fields; undefined takes one away. On disk when it returns. */
  change(kind: PluginKind, id: string, changes: { [K in keyof Decision]: Decision[K] | undefined }): void {
    this.#store.write(tx => {
      const merged = { ...tx.get<Decision>(keyOf(kind, id)), ...changes }
      const kept = Object.fromEntries(Object.entries(merged).filter(([, value]) => value !== undefined))
      if (Object.keys(kept).length === 0) tx.delete(keyOf(kind, id))
      else tx.put(keyOf(kind, id), kept)
    })
    this.#step(`recorded ${Object.keys(changes).join(' and ')}`)
  }

  forget(kind: PluginKind, id: string): void {
    this.#store.write(tx => tx.delete(keyOf(kind, id)))
    this.#step('forgotten')
  }
}

function keyOf(kind: PluginKind, id: string): Key {
  return ['plugin', kind, id]
}
