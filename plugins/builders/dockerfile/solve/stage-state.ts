/** Where a stage stands after some of its instructions: the root, the configuration, and what variables mean. */
import type { Descriptor } from '#api/gen/containerd/types/descriptor.ts'
import type { Platform } from '#api/types/platform.ts'
import type { HistoryEntry, ImageConfig, RunConfig } from '../image/image-config.ts'

/** One layer of the image in the making. */
export interface Layer {
  readonly descriptor: Descriptor
  readonly diffID: string
  /** When it was made, in milliseconds since the epoch; unknown of a base's. */
  readonly createdAtMs?: number
}

/** A root as the layers that make it. */
export interface Root {
  /** Name of the committed snapshot; empty: nothing yet. */
  readonly chainID: string
  readonly layers: readonly Layer[]
}

export interface StageState {
  /** What the stage is for: FROM's `--platform`, or the build's. */
  readonly platform: Platform
  readonly root: Root
  readonly image: ImageConfig
  readonly history: readonly HistoryEntry[]
  /** Declared ARGs that have a value, in order of declaration. */
  readonly args: ReadonlyMap<string, string>
  /** Image that RUN's containers are recorded with: the base, or an empty one for `scratch`. */
  readonly baseImage: string
  /** CMD was set in this stage: an ENTRYPOINT does not take it away then. */
  readonly hasOwnCommand: boolean
}

export const defaultShell: readonly string[] = ['/bin/sh', '-c']

export function runConfig(state: StageState): RunConfig {
  return state.image.config ?? {}
}

/** The state with parts of its image's `config` replaced; undefined takes a field away. */
export function withConfig(state: StageState, changes: Partial<RunConfig>): StageState {
  return { ...state, image: { ...state.image, config: { ...runConfig(state), ...changes } } }
}

/** `NAME=value` pairs as a map; later ones win. */
export function environment(env: readonly string[] = []): Map<string, string> {
  return new Map(env.map(pair => [pair.split('=', 1)[0] as string, pair.slice(pair.indexOf('=') + 1)]))
}

/** The environment with one variable set, in its old place when it had one. */
export function withVariable(env: readonly string[] = [], name: string, value: string): string[] {
  const at = env.findIndex(pair => pair.startsWith(`${name}=`))
  return at < 0 ? [...env, `${name}=${value}`] : env.with(at, `${name}=${value}`)
}

/** What `$name` means now: ENV before ARG, as the reference says. */
export function lookupIn(state: StageState): (name: string) => string | undefined {
  const env = environment(runConfig(state).Env)
  return name => env.get(name) ?? state.args.get(name)
}
