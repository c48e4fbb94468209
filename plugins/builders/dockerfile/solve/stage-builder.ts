/** One stage, instruction by instruction: from its base to its state at the end. */
import { posix } from 'node:path'
import { isGantryError } from '#api/errors/errors.ts'
import { type CachedStep, stepKey } from '../cache/step-cache.ts'
import { baseImage } from '../core/base-images.ts'
import { DirectorySource } from '../files/directory-source.ts'
import { emptyImageConfig } from '../image/image-config.ts'
import type { CopyInstruction, Instruction, RunInstruction, Stage } from '../language/dockerfile.ts'
import { expandWord } from '../language/expand.ts'
import { DockerfileError } from '../language/location.ts'
import { parseTrigger } from '../language/parse.ts'
import { runCommand } from '../steps/command-line.ts'
import { commandLine, configure } from '../steps/configure.ts'
import { planCopy } from '../steps/copy.ts'
import { entriesDigest, layerArchive } from '../steps/copy-archive.ts'
import { type CopyEntry, madeDirectory } from '../steps/copy-entries.ts'
import { runContainer } from '../steps/run.ts'
import { predefinedArgs } from './arguments.ts'
import type { RunningStep } from './build-events.ts'
import type { Build } from './build-request.ts'
import { stageNamed, stageOf } from './graph.ts'
import { historyLine } from './history.ts'
import { withScratchImage } from './scratch.ts'
import { environment, lookupIn, type Root, runConfig, type StageState, withConfig } from './stage-state.ts'

export interface StageContext {
  readonly build: Build
  readonly stage: Stage
  /** Expands a word by the arguments before the first FROM. */
  readonly expandGlobal: (word: string) => string
  readonly buildArgs: ReadonlyMap<string, string>
  readonly globalArgs: ReadonlyMap<string, string>
  /** Where an earlier stage ended. */
  readonly ended: (stage: Stage) => Promise<StageState>
  /** "2/5" of Docker's step names. */
  readonly number: (instruction: Instruction | Stage) => { number: number; total: number }
}

export class StageBuilder {
  readonly #context: StageContext

  constructor(context: StageContext) {
    this.#context = context
  }

  async run(): Promise<StageState> {
    const { stage, build } = this.#context
    let state = await this.#step(stage, () => this.#base())
    for (const trigger of runConfig(state).OnBuild ?? []) {
      const before = state
      state = await this.#step(parseTrigger(trigger), step => this.#instruction(before, parseTrigger(trigger), step))
    }
    state = withConfig(state, { OnBuild: undefined })
    for (const instruction of stage.instructions) {
      build.signal.throwIfAborted()
      const before = state
      state = await this.#step(instruction, step => this.#instruction(before, instruction, step))
    }
    return state
  }

  /** Tells of a step; an error of the user's gets the place in the Dockerfile. */
  async #step(written: Instruction | Stage, work: (step: RunningStep) => Promise<StageState>): Promise<StageState> {
    const { stage, build, number } = this.#context
    const place = number(written)
    const name = `[${stage.name ?? `stage-${stage.index}`} ${place.number}/${place.total}] ${written.text}`
    const step = build.events.begin({ name, ...place, instruction: written.text })
    try {
      const state = await work(step)
      step.done({ resultId: state.root.chainID, cached: this.#cached.has(step) })
      return state
    } catch (error) {
      const shown = this.#placed(error, written)
      step.done({ error: shown instanceof Error ? shown.message : String(shown) })
      throw shown
    }
  }

  readonly #cached = new WeakSet<RunningStep>()

  #placed(error: unknown, { location }: Instruction | Stage): unknown {
    if (!isGantryError(error, 'INVALID_ARGUMENT') || error instanceof DockerfileError) return error
    const { file, lines } = this.#context.build.dockerfile
    return new DockerfileError(error.message, { file, lines, location })
  }

  async #base(): Promise<StageState> {
    const { build, stage, expandGlobal, ended } = this.#context
    const reference = expandGlobal(stage.base)
    const earlier = stageNamed(build.dockerfile.stages, reference, stage)
    if (earlier !== undefined) return { ...(await ended(earlier)), args: new Map(), hasOwnCommand: false }
    const fresh = { args: new Map<string, string>(), hasOwnCommand: false }
    if (reference === 'scratch') {
      const image = emptyImageConfig(build.platform)
      return { ...fresh, root: { chainID: '', layers: [] }, image, history: [], baseImage: '' }
    }
    const base = await this.#image(reference, build.options.pull)
    return { ...fresh, root: base.root, image: base.config, history: base.config.history ?? [], baseImage: base.name }
  }

  #image(reference: string, pull: boolean) {
    const { core, platform, snapshotter, lease, signal, options } = this.#context.build
    const hostsFolders = options.registryHostDirectories
    return baseImage(core, reference, { platform, snapshotter, pull, hostsFolders, lease, signal })
  }

  async #instruction(state: StageState, instruction: Instruction, step: RunningStep): Promise<StageState> {
    if (instruction.keyword === 'RUN') return this.#run(state, instruction, step)
    if (isCopy(instruction)) return this.#copy(state, instruction, step)
    const { build, buildArgs, globalArgs } = this.#context
    const { escapeChar } = build.dockerfile.directives
    const configured = configure(state, instruction, { escapeChar, buildArgs, globalArgs })
    const line = historyLine(instruction.keyword, configured.historyText)
    if (instruction.keyword === 'WORKDIR') return this.#makeWorkdir(configured.state, line, step)
    return remember(configured.state, line, true)
  }

  async #run(state: StageState, instruction: RunInstruction, step: RunningStep): Promise<StageState> {
    const { build } = this.#context
    const command = runCommand(state, instruction)
    const { Env, WorkingDir, User } = runConfig(state)
    const args = [...state.args].filter(([name]) => !environment(Env).has(name))
    const env = [...(Env ?? []), ...args.map(([name, value]) => `${name}=${value}`)]
    const network = networkName(instruction.network ?? build.options.network)
    const counted = env.filter(pair => !predefinedArgs.has(pair.split('=', 1)[0] ?? ''))
    const inputs = [command.args, command.script?.content, counted, WorkingDir, User, network, build.options.extraHosts]
    const key = stepKey('run', build.platform, state.root.chainID, inputs)
    const line = this.#runLine(args, commandLine(state, instruction.command).join(' '))
    const root = await this.#cachedOr(key, instruction, state.root, step, () =>
      withScratchImage(build, state, image =>
        build.layers.grow(state.root, async ({ key: id, undo }) => {
          const { core, snapshotter, lease, signal, options } = build
          const proxies = [...this.#context.buildArgs].filter(([name]) => predefinedArgs.has(name))
          await runContainer(
            core,
            {
              ...{ id, image, snapshotter, command, network, lease, signal, state: build.state },
              ...{
                env: [...proxies.map(([name, value]) => `${name}=${value}`), ...env],
                extraHosts: options.extraHosts,
              },
              ...{ workingDir: WorkingDir ?? '', user: User ?? '' },
              output: (stream, bytes) => step.output(stream, bytes),
            },
            undo,
          )
          return undefined
        }),
      ),
    )
    return remember({ ...state, root }, line, false)
  }

  /** Docker's classic builder counts the arguments it passes. */
  #runLine(args: readonly (readonly [string, string])[], command: string): string {
    if (args.length === 0) return command
    const sorted = args.map(([name, value]) => `${name}=${value}`).toSorted()
    return `|${args.length} ${sorted.join(' ')} ${command}`
  }

  async #copy(state: StageState, instruction: CopyInstruction, step: RunningStep): Promise<StageState> {
    const { build } = this.#context
    const { escapeChar } = build.dockerfile.directives
    const expand = (word: string) => expandWord(word, { escapeChar, lookup: lookupIn(state) })
    const planned = (plan: (entries: CopyEntry[]) => Promise<StageState>) =>
      this.#withSource(instruction, expand, (tree, isForeign) =>
        build.layers.withView(state.root, async path => {
          const image = new DirectorySource(path)
          const expandContent = ({ content, expand: wanted }: { content: string; expand: boolean }) =>
            wanted ? expandHeredoc(content, state) : content
          const workingDir = runConfig(state).WorkingDir ?? '/'
          return plan(await planCopy(instruction, { tree, image, workingDir, isForeign, expand, expandContent }))
        }),
      )
    return planned(async entries => {
      const digest = await entriesDigest(entries)
      const key = stepKey('copy', state.root.chainID, digest)
      const root = await this.#cachedOr(key, instruction, state.root, step, () => this.#addEntries(state.root, entries))
      const text = `${instruction.keyword} ${entries.length === 1 ? 'file' : 'multi'}:${digest} in ${expand(instruction.destination)} `
      return remember({ ...state, root }, historyLine(instruction.keyword, text), false)
    })
  }

  async #withSource<T>(
    { from }: CopyInstruction,
    expand: (word: string) => string,
    body: (tree: DirectorySource | Build['context'], isForeign: boolean) => Promise<T>,
  ): Promise<T> {
    const { build, stage, ended } = this.#context
    if (from === undefined) return body(build.context, false)
    const reference = expand(from)
    const earlier = stageOf(build.dockerfile.stages, reference, stage)
    const root = earlier === undefined ? (await this.#image(reference, false)).root : (await ended(earlier)).root
    return build.layers.withView(root, path => body(new DirectorySource(path), true))
  }

  async #makeWorkdir(state: StageState, line: string, step: RunningStep): Promise<StageState> {
    const path = runConfig(state).WorkingDir ?? '/'
    const { layers } = this.#context.build
    const missing = await layers.withView(state.root, async root => {
      const image = new DirectorySource(root)
      const above: string[] = []
      for (let at = path; at !== '/' && (await image.at(at)) === undefined; at = posix.dirname(at)) above.unshift(at)
      return above
    })
    if (missing.length === 0) return remember(state, line, true)
    const entries = missing.map(at => ({ path: at, entry: madeDirectory(at), tree: undefined }))
    const key = stepKey('workdir', state.root.chainID, missing)
    const root = await this.#cachedOr(key, { text: line }, state.root, step, () =>
      this.#addEntries(state.root, entries),
    )
    return remember({ ...state, root }, line, false)
  }

  async #addEntries(root: Root, entries: readonly CopyEntry[]): Promise<Root> {
    const { archive, written } = layerArchive(entries)
    const grown = await this.#context.build.layers.addArchive(root, archive as AsyncIterable<Uint8Array>)
    await written
    return grown
  }

  /** The root that the step led to before, or does now. */
  async #cachedOr(
    key: string,
    { text }: { readonly text: string },
    before: Root,
    step: RunningStep,
    work: () => Promise<Root>,
  ): Promise<Root> {
    const { cache, layers, options } = this.#context.build
    const known = options.noCache ? undefined : cache.find(key)
    const remembered = known && rootOf(before, known)
    if (known !== undefined && remembered !== undefined && (await layers.has(remembered))) {
      cache.used(known)
      this.#cached.add(step)
      return remembered
    }
    const root = await work()
    const layer = root.layers.at(-1)
    if (layer !== undefined) cache.record(key, text, root.chainID, layer)
    return root
  }
}

function isCopy(instruction: Instruction): instruction is CopyInstruction {
  return instruction.keyword === 'COPY' || instruction.keyword === 'ADD'
}

function rootOf(before: Root, { chainID, layer: { mediaType, digest, size, diffID } }: CachedStep): Root {
  const layer = { descriptor: { mediaType, digest, size, annotations: {} }, diffID }
  return { chainID, layers: [...before.layers, layer] }
}

function remember(state: StageState, createdBy: string, empty: boolean): StageState {
  const entry = { created: new Date().toISOString(), created_by: createdBy, ...(empty && { empty_layer: true }) }
  return { ...state, history: [...state.history, entry] }
}

function networkName(text: string): string {
  return text === '' || text === 'default' ? 'bridge' : text
}

/** Here-documents know variables and no quotes: those are part of the file. */
function expandHeredoc(content: string, state: StageState): string {
  const quoted = content.replaceAll(/['"]/g, quote => `\\${quote}`)
  return expandWord(quoted, { escapeChar: '\\', lookup: lookupIn(state) })
}
