/** One stage, instruction by instruction: from its base to its state at the end. */
import { isGantryError, messageOf } from '#api/errors/errors.ts'
import { step as traced } from '#api/trace/spans.ts'
import { formatPlatform, type Platform, parsePlatform } from '#api/types/platform.ts'
import { imagePurl } from '../attestations/image-purl.ts'
import { CheckSettings, copyIgnoredFile, undefinedVariable } from '../checks/checks.ts'
import { ignoredSources } from '../checks/ignored-sources.ts'
import { undefinedVariables } from '../checks/undefined-variables.ts'
import { baseImage } from '../core/base-images.ts'
import { emptyImageConfig, withDefaultPath } from '../image/image-config.ts'
import type { CopyInstruction, Instruction, Stage } from '../language/dockerfile.ts'
import { DockerfileError, excerpt } from '../language/location.ts'
import { parseTrigger } from '../language/parse.ts'
import { configure } from '../steps/configure.ts'
import type { RunningStep } from './build-events.ts'
import type { Build } from './build-request.ts'
import { copyStep, treeRoot, workdirStep } from './copy-step.ts'
import { stageNamed, stageOf } from './graph.ts'
import { historyLine } from './history.ts'
import { runStep } from './run-step.ts'
import { environment, lookupIn, type Root, runConfig, type StageState, withConfig } from './stage-state.ts'
import { expandIn, remember, type StepContext, type StepSource } from './step-context.ts'

export interface StageContext {
  readonly build: Build
  readonly stage: Stage
  /** Expands a word by the arguments before the first FROM. */
  readonly expandGlobal: (word: string) => string
  readonly buildArgs: ReadonlyMap<string, string>
  readonly globalArgs: ReadonlyMap<string, string>
  /** Where an earlier stage ended. */
  readonly ended: (stage: Stage) => Promise<StageState>
  /** Its place among what Docker counts. */
  readonly number: (instruction: Instruction | Stage) => { number: number; total: number }
}

/** Told whether the cache had it. */
type Outcome = Pick<StepContext, 'wasCached' | 'missed'>
type Work = (step: RunningStep, outcome: Outcome) => Promise<StageState>

/** An instruction may be as long as a script. */
const maxSpanName = 120

export class StageBuilder {
  readonly #context: StageContext

  constructor(context: StageContext) {
    this.#context = context
  }

  async run(): Promise<StageState> {
    const { stage, build } = this.#context
    let state = await this.#step(stage, () => this.#base())
    // A named context in the place of a stage is all of the stage.
    if (stage.name !== undefined && build.contexts.has(stage.name)) return state
    const triggers = (runConfig(state).OnBuild ?? []).map(parseTrigger)
    state = withConfig(state, { OnBuild: undefined })
    for (const instruction of [...triggers, ...stage.instructions]) {
      build.signal.throwIfAborted()
      const before = state
      state = await this.#step(instruction, (step, outcome) => this.#follow(before, instruction, step, outcome))
    }
    return state
  }

  /** Tells of a step; an error of the user's gets the place in the Dockerfile. */
  async #step(written: Instruction | Stage, work: Work): Promise<StageState> {
    const { stage, build, number } = this.#context
    const place = number(written)
    const of = build.isOneOfSeveral ? `${formatPlatform(build.platform)} ` : ''
    const name = `[${of}${stage.name ?? `stage-${stage.index}`} ${place.number}/${place.total}] ${written.text}`
    const step = build.events.begin({ name, ...place, instruction: written.text })
    let seen = { cached: false, missReason: '' }
    const wasCached = () => {
      seen = { cached: true, missReason: '' }
    }
    const missed = (missReason: string) => {
      seen = { cached: false, missReason }
    }
    try {
      const state = await traced(name.slice(0, maxSpanName), () => work(step, { wasCached, missed }))
      step.done({ resultId: state.root.chainID, ...seen })
      return state
    } catch (error) {
      const shown = this.#placed(error, written)
      // Such an error has the place in its message.
      const place = shown instanceof DockerfileError ? '' : this.#excerpt(written)
      step.done({ ...seen, error: messageOf(shown), excerpt: place })
      throw shown
    }
  }

  #excerpt({ location }: Instruction | Stage): string {
    const { file, lines } = this.#context.build.dockerfile
    return excerpt({ file, lines, location })
  }

  #placed(error: unknown, { location }: Instruction | Stage): unknown {
    if (!isGantryError(error, 'INVALID_ARGUMENT') || error instanceof DockerfileError) return error
    const { file, lines } = this.#context.build.dockerfile
    return new DockerfileError(error.message, { file, lines, location })
  }

  async #base(): Promise<StageState> {
    const { build, stage, expandGlobal, ended } = this.#context
    const replaced = stage.name !== undefined && build.contexts.has(stage.name)
    const reference = replaced ? (stage.name as string) : expandGlobal(stage.base)
    const earlier = replaced ? undefined : stageNamed(build.dockerfile.stages, reference, stage)
    if (earlier !== undefined) return { ...(await ended(earlier)), hasOwnCommand: false }
    const platform = this.#platform()
    const fresh = { args: new Map<string, string>(), hasOwnCommand: false, platform }
    const nothing = { ...fresh, root: emptyRoot, image: emptyImageConfig(platform), history: [], baseImage: '' }
    const named = await build.contexts.find(reference)
    if (named !== undefined && 'tree' in named) return { ...nothing, root: await treeRoot(build, named.tree) }
    if (named === undefined && reference === 'scratch') return nothing
    const base = await this.#image(named?.image ?? reference, build.options.pull && named === undefined, platform)
    return {
      ...fresh,
      root: base.root,
      image: withDefaultPath(base.config),
      history: base.config.history ?? [],
      baseImage: base.name,
    }
  }

  /** `FROM --platform=…` chooses among an image's; the build's own is the default. */
  #platform(): Platform {
    const { stage, build, expandGlobal } = this.#context
    const chosen = stage.platform === undefined ? '' : expandGlobal(stage.platform)
    return chosen === '' ? build.platform : parsePlatform(chosen)
  }

  async #image(reference: string, pull: boolean, platform: Platform) {
    const { core, snapshotter, lease, signal, registries, layers, materials } = this.#context.build
    const base = await baseImage(core, reference, { platform, snapshotter, pull, registries, layers, lease, signal })
    materials.add({ uri: imagePurl(base.name, platform), digest: base.digest })
    return base
  }

  async #follow(state: StageState, instruction: Instruction, step: RunningStep, outcome: Outcome) {
    const { build, buildArgs, globalArgs } = this.#context
    this.#check(state, instruction)
    const sourceOf = (reference: string) => this.#sourceOf(reference)
    const context: StepContext = { build, state, step, buildArgs, sourceOf, ...outcome }
    if (instruction.keyword === 'RUN') return runStep(context, instruction)
    if (isCopy(instruction)) {
      this.#checkIgnored(context, instruction)
      return copyStep(context, instruction)
    }
    const { escapeChar } = build.dockerfile.directives
    const configured = configure(state, instruction, { escapeChar, buildArgs, globalArgs })
    const line = historyLine(configured.state, instruction.keyword, configured.historyText)
    if (instruction.keyword === 'WORKDIR') return workdirStep({ ...context, state: configured.state }, line)
    return remember(build, configured.state, line, true)
  }

  /** Warns of variables that have no value here; the platform's arguments count as what they are declared to be. */
  #check(state: StageState, instruction: Instruction): void {
    const { events, dockerfile } = this.#context.build
    const { escapeChar, check } = dockerfile.directives
    if (!new CheckSettings(check).wants(undefinedVariable.name)) return
    const names = [...environment(runConfig(state).Env).keys(), ...state.args.keys()]
    const { name: rule, description } = undefinedVariable
    for (const message of undefinedVariables(instruction, { escapeChar, lookup: lookupIn(state), names }))
      events.warn({ rule, description, message, location: instruction.location }, dockerfile)
  }

  /** Warns of sources that `.dockerignore` leaves out, where the file asks for it. */
  #checkIgnored(context: StepContext, instruction: CopyInstruction): void {
    const { events, dockerfile, ignore } = context.build
    const { name: rule, description } = copyIgnoredFile
    if (!new CheckSettings(dockerfile.directives.check).asksFor(rule)) return
    for (const message of ignoredSources(instruction, ignore, word => expandIn(context, word)))
      events.warn({ rule, description, message, location: instruction.location }, dockerfile)
  }

  /** A named context's, else a stage's, else an image's. */
  async #sourceOf(reference: string): Promise<StepSource> {
    const { build, stage, ended } = this.#context
    const named = await build.contexts.find(reference)
    if (named !== undefined && 'tree' in named) return named
    const earlier = named === undefined ? stageOf(build.dockerfile.stages, reference, stage) : undefined
    if (earlier !== undefined) return { root: (await ended(earlier)).root }
    return { root: (await this.#image(named?.image ?? reference, false, build.platform)).root }
  }
}

const emptyRoot: Root = { chainID: '', layers: [] }

function isCopy(instruction: Instruction): instruction is CopyInstruction {
  return instruction.keyword === 'COPY' || instruction.keyword === 'ADD'
}
