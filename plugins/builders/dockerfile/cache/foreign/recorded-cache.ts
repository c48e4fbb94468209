/** A cache of records: a step is known by its key, which counts all that goes into it. */

import type { Layer } from '../../solve/stage-state.ts'
import { digestOfStep } from '../step-work.ts'
import type { CacheRecord } from './cache-config.ts'
import type { ForeignCache, SoughtStep } from './foreign-cache.ts'

export interface RecordedCacheOptions {
  readonly name: string
  readonly records: readonly CacheRecord[]
  /** By the number that records give a layer: it and all below it, lowest first. */
  readonly stacks: readonly (readonly Layer[])[]
  readonly fetch: ForeignCache['fetch']
}

export function recordedCache({ name, records, stacks, fetch }: RecordedCacheOptions): ForeignCache {
  const results = new Map<string, readonly Layer[]>()
  for (const { digest, layers = [] } of records) {
    const stack = layers[0] && stacks[layers[0].layer]
    if (stack !== undefined) results.set(digest, stack)
  }
  return {
    name,
    fetch,
    find({ key, root }: SoughtStep) {
      const stack = results.get(digestOfStep(key))
      if (stack === undefined) return undefined
      const isOnTop = root.layers.every(({ diffID }, at) => stack[at]?.diffID === diffID)
      if (!isOnTop || stack.length > root.layers.length + 1) return undefined
      return stack[root.layers.length] ?? 'unchanged'
    },
  }
}
