/** What one instruction works with, and what two kinds of them do alike. */
import { messageOf } from '#api/errors/errors.ts'
import { explainMiss } from '../cache/explain-miss.ts'
import type { CachedStep } from '../cache/step-cache.ts'
import { type StepWork, stepKey } from '../cache/step-work.ts'
import type { SourceTree } from '../files/source-tree.ts'
import type { Instruction } from '../language/dockerfile.ts'
import { expandWord } from '../language/expand.ts'
import type { RunningStep } from './build-events.ts'
import type { Build } from './build-request.ts'
import { lookupIn, type Root, type StageState } from './stage-state.ts'

export type StepSource = { readonly root: Root } | { readonly tree: SourceTree }

export interface StepContext {
  readonly build: Build
  readonly state: StageState
  readonly step: RunningStep
  readonly buildArgs: ReadonlyMap<string, string>
  /** What `--from` names: a stage's or image's root, or the files of a named context. */
  sourceOf(reference: string): Promise<StepSource>
  /** Told when the step came out of the cache. */
  wasCached(): void
  /** Told why it did not, in a sentence. */
  missed(reason: string): void
}

/** A word with the variables of the step's place replaced. */
export function expandIn({ build, state }: StepContext, word: string): string {
  return expandWord(word, { escapeChar: build.dockerfile.directives.escapeChar, lookup: lookupIn(state) })
}

/** What a step does, and the line of history it will add. */
export interface CachedWork extends Omit<StepWork, 'parent'> {
  readonly historyLine: string
}

/**
 * The root that a step with these inputs led to before, or does now. Of equal steps of several builds one is done, and
 * the others wait for it.
 */
export async function cachedOr(context: StepContext, work: CachedWork, make: () => Promise<Root>): Promise<Root> {
  const parent = context.state.root
  const root = await foundOrMade(context, work, make)
  const key = stepKey(wholeWork(context, work))
  context.build.trail.passed({ key, parent, root })
  return root
}

/** With what the whole build has in common. */
function wholeWork(
  { build: { epoch }, state }: StepContext,
  { historyLine: _, inputs, ...work }: CachedWork,
): StepWork {
  const counted = epoch === undefined ? inputs : { ...inputs, SOURCE_DATE_EPOCH: epoch }
  return { ...work, inputs: counted, parent: state.root.chainID }
}

async function foundOrMade(context: StepContext, work: CachedWork, make: () => Promise<Root>): Promise<Root> {
  const { cache, options, inProgress } = context.build
  const step = wholeWork(context, work)
  const recorded = (root: Root) => {
    const layer = root === context.state.root ? undefined : root.layers.at(-1)
    const createdAtMs = Date.now()
    cache.record(step, root.chainID, layer, createdAtMs)
    return layer === undefined ? root : { ...root, layers: root.layers.with(-1, { ...layer, createdAtMs }) }
  }
  const madeNow = async () => recorded(await make())
  if (options.noCache) {
    context.missed('the build was asked for without the cache')
    return madeNow()
  }
  return inProgress.run(stepKey(step), async () => {
    const known = await remembered(context, step)
    if (known !== undefined) return known
    const foreign = await elsewhere(context, stepKey(step), work.historyLine)
    if (foreign !== undefined) return recorded(foreign)
    context.missed(explainMiss(cache, step))
    return madeNow()
  })
}

/** What another builder's cache has of the step; one whose layer cannot be fetched is as if it did not have it. */
async function elsewhere(
  { build, state: { root, history }, step, wasCached }: StepContext,
  key: string,
  historyLine: string,
): Promise<Root | undefined> {
  const { foreignCaches, layers, lease, signal } = build
  for (const cache of foreignCaches) {
    const layer = cache.find({ key, root, history, historyLine })
    if (layer === undefined) continue
    try {
      if (layer !== 'unchanged') await cache.fetch(layer, lease)
      const found = layer === 'unchanged' ? root : await layers.addLayer(root, layer)
      wasCached()
      return found
    } catch (error) {
      signal.throwIfAborted()
      step.output('stderr', Buffer.from(`cache "${cache.name}" is not used: ${messageOf(error)}\n`))
    }
  }
  return undefined
}

async function remembered(context: StepContext, step: StepWork): Promise<Root | undefined> {
  const { cache, layers, signal } = context.build
  // It may have waited for long.
  signal.throwIfAborted()
  const known = cache.find(stepKey(step))
  const root = known && rootAfter(context.state.root, known)
  if (known !== undefined && root !== undefined && (await layers.isHere(root))) {
    cache.used(known)
    context.wasCached()
    return root
  }
  return undefined
}

function rootAfter(before: Root, { chainID, layer: cached, createdAtMs }: CachedStep): Root {
  if (cached === undefined) return before
  const { mediaType, digest, size, diffID } = cached
  const layer = { descriptor: { mediaType, digest, size, annotations: {} }, diffID, createdAtMs }
  return { chainID, layers: [...before.layers, layer] }
}

/**
 * The state with a line of history more; `empty`: the instruction made no layer. Its time is that of the layer, or else of the line
 * before, so that a build out of the cache is the same image.
 */
export function remember(build: Build, state: StageState, createdBy: string, empty: boolean): StageState {
  const madeAtMs = empty ? undefined : state.root.layers.at(-1)?.createdAtMs
  const before =
    madeAtMs === undefined ? state.history.findLast(line => line.created !== undefined)?.created : undefined
  const created = build.epoch?.toISOString() ?? before ?? new Date(madeAtMs ?? Date.now()).toISOString()
  return {
    ...state,
    history: [...state.history, { created, created_by: createdBy, ...(empty && { empty_layer: true }) }],
  }
}

export type StepOf<I extends Instruction> = (context: StepContext, instruction: I) => Promise<StageState>
