/** A whole build: Dockerfile and context in, an image out. */
import type { Result } from '#api/gen/gantry/services/builder/v1/builder.ts'
import { hostPlatform } from '#api/types/platform.ts'
import { exportImage } from '../image/export-image.ts'
import type { Instruction, Stage } from '../language/dockerfile.ts'
import { expandWord } from '../language/expand.ts'
import { platformArgs } from './arguments.ts'
import type { Build } from './build-request.ts'
import { neededStages, targetStage } from './graph.ts'
import { StageBuilder } from './stage-builder.ts'
import { runConfig, type StageState, withConfig } from './stage-state.ts'

/** Stages that do not need each other run side by side, unless the client wants them one after the other. */
export async function buildImage(build: Build): Promise<Omit<Result, 'buildId'>> {
  const { dockerfile, options, core, snapshotter, lease } = build
  const target = targetStage(dockerfile, options.target)
  const { buildArgs, globalArgs, expandGlobal } = readArguments(build)
  const stages = neededStages(dockerfile.stages, target, stage => expandGlobal(stage.base))
  const number = numbering(stages)
  const running = new Map<Stage, Promise<StageState>>()
  const ended = (stage: Stage): Promise<StageState> => {
    const begun =
      running.get(stage) ?? new StageBuilder({ build, stage, expandGlobal, buildArgs, globalArgs, ended, number }).run()
    running.set(stage, begun)
    return begun
  }
  if (options.sequential) for (const stage of stages) await ended(stage)
  await Promise.all(stages.map(ended))
  const state = labelled(await ended(target), options.labels)
  const exported = await exportImage(core, state, {
    names: options.names,
    snapshotter,
    lease,
    created: build.epoch ?? new Date(),
  })
  const { imageID, manifestDigest, sizeBytes } = exported
  return { imageId: imageID, manifestDigest, sizeBytes: BigInt(sizeBytes) }
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
function numbering(stages: readonly Stage[]) {
  const all: (Stage | Instruction)[] = stages.flatMap(stage => [stage, ...stage.instructions])
  const numbers = new Map(all.map((one, at) => [one, at + 1]))
  return (one: Stage | Instruction) => ({ number: numbers.get(one) ?? 0, total: all.length })
}

function labelled(state: StageState, labels: Readonly<Record<string, string>>): StageState {
  if (Object.keys(labels).length === 0) return state
  return withConfig(state, { Labels: { ...runConfig(state).Labels, ...labels } })
}
