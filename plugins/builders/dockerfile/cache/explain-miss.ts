/** Why a step was not in the cache: what differs from the nearest step that is. */
import type { CachedStep, StepCache } from './step-cache.ts'
import { inputDigests, type StepWork } from './step-work.ts'

const mostNamed = 3

/** A sentence for people. The most recent steps are looked at first. */
export function explainMiss(cache: Pick<StepCache, 'list' | 'inputs'>, work: StepWork): string {
  const steps = cache.list().toReversed()
  const onSame = steps.filter(({ parent }) => parent === work.parent)
  const twin = onSame.find(({ instruction }) => instruction === work.text)
  if (twin !== undefined) return changes(cache.inputs(twin.key), inputDigests(work))
  if (steps.some(({ instruction }) => instruction === work.text))
    return 'what it stands on changed: a step before it, or the base image'
  const rewritten = onSame.find(({ instruction }) => keyword(instruction) === keyword(work.text))
  if (rewritten !== undefined) return `the instruction changed: it was "${shortened(rewritten)}"`
  return 'it was never done on what it stands on, or its result was pruned'
}

function changes(before: Readonly<Record<string, string>>, now: Readonly<Record<string, string>>): string {
  const changed = Object.keys(now).filter(name => Object.hasOwn(before, name) && before[name] !== now[name])
  const added = Object.keys(now).filter(name => !Object.hasOwn(before, name))
  const gone = Object.keys(before).filter(name => !Object.hasOwn(now, name))
  const told = [
    ...changed.map(name => `${name} changed`),
    ...added.map(name => `${name} is new`),
    ...gone.map(name => `${name} is gone`),
  ]
  // "files changed" says less than the files themselves.
  const exact = told.filter(line => line !== 'files changed')
  const lines = exact.length > 0 ? exact : told
  if (lines.length === 0) return 'its layer is no longer there'
  const more = lines.length > mostNamed ? `, and ${lines.length - mostNamed} more` : ''
  return lines.slice(0, mostNamed).join(', ') + more
}

function keyword(instruction: string): string {
  return instruction.split(/\s/, 1)[0]?.toUpperCase() ?? ''
}

function shortened({ instruction }: CachedStep): string {
  const [line = ''] = instruction.split('\n')
  return line.length > 80 ? `${line.slice(0, 79)}…` : line
}
