/** The steps that a build went through, as another build can find them: what of them is written, and how. */
import type { Layer, Root } from '../../solve/stage-state.ts'
import { digestOfStep } from '../step-work.ts'
import type { CacheConfig, CacheRecord } from './cache-config.ts'

export interface PassedStep {
  readonly key: string
  readonly parent: Root
  readonly root: Root
}

export class CacheTrail {
  readonly #steps: PassedStep[] = []

  passed(step: PassedStep): void {
    this.#steps.push(step)
  }

  /** `max`: every step. `min`: those whose layers are all in one of the results. */
  chosen(mode: 'min' | 'max', results: readonly Root[]): PassedStep[] {
    if (mode === 'max') return this.#steps
    return this.#steps.filter(({ root }) => results.some(result => isWithin(root, result)))
  }
}

function isWithin({ layers }: Root, result: Root): boolean {
  return layers.every(({ diffID }, at) => result.layers[at]?.diffID === diffID)
}

export interface DescribedCache {
  readonly config: CacheConfig
  /** Each layer that the description speaks of, in its order. */
  readonly layers: readonly Layer[]
}

/** `createdAt`: told of each result, in ISO form. */
export function describe(steps: readonly PassedStep[], createdAt: string): DescribedCache {
  const layers: Layer[] = []
  const described: CacheConfig['layers'] = []
  const numbers = new Map<string, number>()
  const numberOf = (stack: readonly Layer[]): number => {
    const top = stack.at(-1)
    if (top === undefined) return -1
    const id = stack.map(({ diffID }) => diffID).join(' ')
    const known = numbers.get(id)
    if (known !== undefined) return known
    const parent = numberOf(stack.slice(0, -1))
    const { mediaType, digest, size } = top.descriptor
    const annotations = { mediaType, diffID: top.diffID, size: Number(size), createdAt }
    described.push({ blob: digest, parent, annotations })
    numbers.set(id, layers.push(top) - 1)
    return layers.length - 1
  }
  const resultOf = ({ layers: stack }: Root) => {
    const layer = numberOf(stack)
    return layer < 0 ? {} : { layers: [{ layer, createdAt }] }
  }
  return { config: { layers: described, records: recordsOf(steps, resultOf) }, layers }
}

/** The same, of one image: records count its layers from below, and leave out what is not among them. */
export function describeInline(steps: readonly PassedStep[], createdAt: string): CacheRecord[] {
  return recordsOf(steps, ({ layers }) =>
    layers.length === 0 ? {} : { layers: [{ layer: layers.length - 1, createdAt }] },
  )
}

/** A base is a record as well, by the name of its root: it stands on nothing. */
function recordsOf(steps: readonly PassedStep[], resultOf: (root: Root) => Pick<CacheRecord, 'layers'>): CacheRecord[] {
  const records: CacheRecord[] = []
  const made = new Map<string, number>()
  const add = (record: CacheRecord, root: Root) => {
    const at = records.push(record) - 1
    if (!made.has(root.chainID)) made.set(root.chainID, at)
  }
  for (const { key, parent, root } of steps) {
    if (!made.has(parent.chainID)) add({ digest: baseDigest(parent), ...resultOf(parent) }, parent)
    const link = made.get(parent.chainID) ?? 0
    add({ digest: digestOfStep(key), inputs: [[{ link }]], ...resultOf(root) }, root)
  }
  return records
}

function baseDigest({ chainID }: Root): string {
  return chainID === '' ? digestOfStep('0'.repeat(64)) : chainID
}
