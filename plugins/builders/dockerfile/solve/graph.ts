/** Which stages a build needs, and which of them each needs. */
import { invalidArgument, notFound } from '#api/errors/errors.ts'
import type { Dockerfile, Stage } from '../language/dockerfile.ts'

/** The stage to build. NOT_FOUND: `target` names none. */
export function targetStage({ stages, file }: Dockerfile, target: string): Stage {
  const last = stages.at(-1)
  if (target === '') return last as Stage
  const found = stages.find(({ name, index }) => name === target.toLowerCase() || String(index) === target)
  if (found !== undefined) return found
  throw notFound(
    `target stage "${target}" in ${file} (it has ${stages.map(({ name, index }) => name ?? index).join(', ')})`,
  )
}

/** The earlier stage of that name, as FROM means it; undefined when it is an image's name. */
export function stageNamed(stages: readonly Stage[], reference: string, before: Stage): Stage | undefined {
  return stages.findLast(({ name, index }) => index < before.index && name === reference.toLowerCase())
}

/** The same by name or number, as `--from` means it. INVALID_ARGUMENT for a later stage. */
export function stageOf(stages: readonly Stage[], reference: string, before: Stage): Stage | undefined {
  const named = stageNamed(stages, reference, before)
  const later = stages.find(({ name }) => name === reference.toLowerCase())
  if (named === undefined && later !== undefined)
    throw invalidArgument(
      `circular dependency: stage "${reference}" is not before the one that takes from it; a stage takes from earlier ones`,
    )
  if (named !== undefined || !/^\d+$/.test(reference)) return named
  const numbered = stages[Number(reference)]
  if (numbered === undefined || numbered.index >= before.index)
    throw invalidArgument(`invalid from flag value ${reference}: refers to current or later build stage`)
  return numbered
}

/** The stages a build of `target` runs through, the target last. `base`: a stage's FROM, expanded; a replaced one needs no other. */
export function neededStages(
  stages: readonly Stage[],
  target: Stage,
  { base, isReplaced }: { base(stage: Stage): string; isReplaced(stage: Stage): boolean },
): Stage[] {
  const needed = new Set<Stage>()
  const visit = (stage: Stage) => {
    if (needed.has(stage)) return
    if (isReplaced(stage)) return void needed.add(stage)
    const others = froms(stage).map(reference => stageOf(stages, reference, stage))
    for (const other of [stageNamed(stages, base(stage), stage), ...others]) if (other !== undefined) visit(other)
    needed.add(stage)
  }
  visit(target)
  return [...needed]
}

/** Every `from` of a stage's instructions. */
function froms({ instructions }: Stage): string[] {
  const copies = instructions.flatMap(one => ('from' in one && one.from !== undefined ? [one.from] : []))
  const mounts = instructions.flatMap(one => (one.keyword === 'RUN' ? one.mounts : []))
  return [...copies, ...mounts.flatMap(mount => /(?:^|,)from=([^,]+)/.exec(mount)?.[1] ?? [])]
}
