/** What one instruction works with, and what two kinds of them do alike. */
import { type CachedStep, stepKey } from '../cache/step-cache.ts'
import type { Instruction } from '../language/dockerfile.ts'
import { expandWord } from '../language/expand.ts'
import type { RunningStep } from './build-events.ts'
import type { Build } from './build-request.ts'
import { lookupIn, type Root, type StageState } from './stage-state.ts'

export interface StepContext {
  readonly build: Build
  readonly state: StageState
  readonly step: RunningStep
  readonly buildArgs: ReadonlyMap<string, string>
  /** Root of a stage or image, as `--from` names it. */
  rootOf(reference: string): Promise<Root>
  /** Told when the step came out of the cache. */
  wasCached(): void
}

/** A word with the variables of the step's place replaced. */
export function expandIn({ build, state }: StepContext, word: string): string {
  return expandWord(word, { escapeChar: build.dockerfile.directives.escapeChar, lookup: lookupIn(state) })
}

/** The root that a step with these inputs led to before, or does now. */
export async function cachedOr(
  context: StepContext,
  { inputs, text }: { readonly inputs: readonly unknown[]; readonly text: string },
  work: () => Promise<Root>,
): Promise<Root> {
  const { cache, layers, options } = context.build
  const before = context.state.root
  const key = stepKey(before.chainID, ...inputs)
  const known = options.noCache ? undefined : cache.find(key)
  const remembered = known && rootAfter(before, known)
  if (known !== undefined && remembered !== undefined && (await layers.has(remembered))) {
    cache.used(known)
    context.wasCached()
    return remembered
  }
  const root = await work()
  const layer = root.layers.at(-1)
  if (layer !== undefined) cache.record(key, text, root.chainID, layer)
  return root
}

function rootAfter(before: Root, { chainID, layer: { mediaType, digest, size, diffID } }: CachedStep): Root {
  const layer = { descriptor: { mediaType, digest, size, annotations: {} }, diffID }
  return { chainID, layers: [...before.layers, layer] }
}

/** The state with a line of history more; `empty`: the instruction made no layer. */
export function remember(state: StageState, createdBy: string, empty: boolean): StageState {
  const entry = { created: new Date().toISOString(), created_by: createdBy, ...(empty && { empty_layer: true }) }
  return { ...state, history: [...state.history, entry] }
}

export type StepOf<I extends Instruction> = (context: StepContext, instruction: I) => Promise<StageState>
