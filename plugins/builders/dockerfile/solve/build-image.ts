/** A whole build: Dockerfile and context in, an image out. */
import type { Result } from '#api/gen/gantry/services/builder/v1/builder.ts'
import { hostPlatform, type Platform } from '#api/types/platform.ts'
import { CacheTrail } from '../cache/foreign/cache-trail.ts'
import { withInlineCache, writeCaches } from '../cache/foreign/write-caches.ts'
import type { Instruction, Stage } from '../language/dockerfile.ts'
import { expandWord } from '../language/expand.ts'
import type { BuiltStage } from '../outputs/built-stage.ts'
import { finishBuild } from '../outputs/finish-build.ts'
import { platformArgs } from './arguments.ts'
import type { Build } from './build-request.ts'
import { neededStages, targetStage } from './graph.ts'
import { historyLine } from './history.ts'
import { Materials } from './materials.ts'
import { StageBuilder } from './stage-builder.ts'
import { runConfig, type StageState, withConfig } from './stage-state.ts'
import { remember } from './step-context.ts'

/** What is the same for each platform. */
export type WholeBuild = Omit<Build, 'materials' | 'trail' | 'platform' | 'isOneOfSeveral'>

/** For several platforms one after the other: what is theirs in common comes from the cache then. */
export async function buildImage(
  request: WholeBuild,
  platforms: readonly Platform[],
): Promise<Omit<Result, 'buildId'>> {
  const shared = { ...request, materials: new Materials(), trail: new CacheTrail() }
  const isOneOfSeveral = platforms.length > 1
  const built: BuiltStage[] = []
  for (const platform of platforms)
    built.push({ platform, state: await targetState({ ...shared, platform, isOneOfSeveral }) })
  const [platform = hostPlatform()] = platforms
  const build: Build = { ...shared, platform, isOneOfSeveral }
  const finished = built.map(one => ({ ...one, state: withInlineCache(build, one.state) }))
  const result = await finishBuild(build, finished)
  await writeCaches(
    build,
    built.map(({ state }) => state.root),
  )
  return result
}

/** Stages that do not need each other run side by side, unless the client wants them one after the other. */
async function targetState(build: Build): Promise<StageState> {
  const { dockerfile, options } = build
  const target = targetStage(dockerfile, options.target)
  const { buildArgs, globalArgs, expandGlobal } = readArguments(build)
  const stages = neededStages(dockerfile.stages, target, {
    base: stage => expandGlobal(stage.base),
    isReplaced: ({ name }) => name !== undefined && build.contexts.has(name),
  })
  const number = numbering(stages, Object.keys(options.labels).length > 0)
  const running = new Map<Stage, Promise<StageState>>()
  const ended = (stage: Stage): Promise<StageState> => {
    const begun =
      running.get(stage) ?? new StageBuilder({ build, stage, expandGlobal, buildArgs, globalArgs, ended, number }).run()
    running.set(stage, begun)
    return begun
  }
  if (options.sequential) for (const stage of stages) await ended(stage)
  await Promise.all(stages.map(ended))
  return labelled(build, await ended(target), number.total)
}

function readArguments({ dockerfile, options, platform }: Build) {
  const buildArgs = new Map(Object.entries(options.args))
  const predefined = platformArgs(hostPlatform(), platform, options.target)
  const globalArgs = new Map<string, string>(predefined)
  const { escapeChar } = dockerfile.directives
  const lookup = (name: string) => globalArgs.get(name)
  const expandGlobal = (word: string) => expandWord(word, { escapeChar, lookup })
  for (const { args } of dockerfile.globalArgs)
    for (const { name, value } of args) {
      const chosen = buildArgs.get(name) ?? (value === undefined ? undefined : expandGlobal(value))
      if (chosen !== undefined) globalArgs.set(name, chosen)
    }
  return { buildArgs, globalArgs, expandGlobal }
}

/** Docker counts every FROM and instruction of the stages it runs. */
function numbering(stages: readonly Stage[], hasLabels: boolean) {
  const all: (Stage | Instruction)[] = stages.flatMap(stage => [stage, ...stage.instructions])
  const numbers = new Map(all.map((one, at) => [one, at + 1]))
  const total = all.length + (hasLabels ? 1 : 0)
  return Object.assign((one: Stage | Instruction) => ({ number: numbers.get(one) ?? 0, total }), { total })
}

/** `--label`s: a last instruction that nobody wrote. */
function labelled(build: Build, state: StageState, number: number): StageState {
  const labels = Object.entries(build.options.labels).toSorted(([a], [b]) => (a < b ? -1 : 1))
  if (labels.length === 0) return state
  const text = `LABEL ${labels.map(([key, value]) => `${key}=${value}`).join(' ')}`
  const step = build.events.begin({
    name: `[labels ${number}/${number}] ${text}`,
    number,
    total: number,
    instruction: text,
  })
  const Labels = { ...runConfig(state).Labels, ...Object.fromEntries(labels) }
  step.done({ resultId: state.root.chainID })
  return remember(build, withConfig(state, { Labels }), historyLine(state, 'LABEL', text), true)
}
