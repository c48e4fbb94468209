/** RUN as a step: its inputs for the cache, its mounts, its container. */
import type { RunInstruction } from '../language/dockerfile.ts'
import { type RunMount, readMount } from '../language/mount.ts'
import { runCommand } from '../steps/command-line.ts'
import { commandLine } from '../steps/configure.ts'
import { entriesDigest } from '../steps/copy-archive.ts'
import { runContainer } from '../steps/run.ts'
import { type MountPlaces, runMounts } from '../steps/run-mounts.ts'
import { selectEntries } from '../steps/select-sources.ts'
import { predefinedArgs } from './arguments.ts'
import { withScratchImage } from './scratch.ts'
import { environment, runConfig, type StageState } from './stage-state.ts'
import { cachedOr, expandIn, remember, type StepContext } from './step-context.ts'

export async function runStep(context: StepContext, instruction: RunInstruction): Promise<StageState> {
  const { build, state, step } = context
  const command = runCommand(state, instruction)
  const mounts = instruction.mounts.map(text => readMount(expandIn(context, text)))
  const { WorkingDir = '/', User = '' } = runConfig(state)
  const { args, env, proxies } = environmentOf(context)
  const network = networkName(instruction.network ?? build.options.network)
  const where = { workingDir: WorkingDir, user: User, network, extraHosts: build.options.extraHosts }
  const seen = await Promise.all(mounts.map(mount => identity(context, mount)))
  const counted = env.filter(pair => !predefinedArgs.has(pair.split('=', 1)[0] ?? ''))
  const inputs = ['run', build.platform, command.args, command.script?.content, counted, where, seen]
  const root = await cachedOr(context, { inputs, text: instruction.text }, () =>
    withScratchImage(build, state, image =>
      build.layers.grow(state.root, async ({ key: id, undo }) => {
        const { core, snapshotter, lease, signal } = build
        const bound = await runMounts(mounts, WorkingDir, placesOf(context), undo)
        const request = { id, image, snapshotter, command, lease, signal, ...where, mounts: bound, state: build.state }
        const output = (stream: 'stdout' | 'stderr', bytes: Buffer) => step.output(stream, bytes)
        await runContainer(core, { ...request, env: [...proxies, ...env], output }, undo)
        return undefined
      }),
    ),
  )
  return remember({ ...state, root }, historyLine(args, commandLine(state, instruction.command).join(' ')), false)
}

/** What RUN sees: the image's environment, declared arguments below it, and proxies that nobody declared. */
function environmentOf({ state, buildArgs }: StepContext) {
  const { Env = [] } = runConfig(state)
  const own = environment(Env)
  const args = [...state.args].filter(([name]) => !own.has(name)).map(([name, value]) => `${name}=${value}`)
  const proxies = [...buildArgs].filter(([name]) => predefinedArgs.has(name)).map(([name, value]) => `${name}=${value}`)
  return { args, env: [...Env, ...args], proxies }
}

/** Docker's classic builder counts the arguments it passes. */
function historyLine(args: readonly string[], command: string): string {
  return args.length === 0 ? command : `|${args.length} ${args.toSorted().join(' ')} ${command}`
}

function networkName(text: string): string {
  return text === '' || text === 'default' ? 'bridge' : text
}

/** What of a mount can change what the step makes: where it is, and the bytes of what is bound. */
async function identity(context: StepContext, mount: RunMount): Promise<unknown> {
  if (mount.type !== 'bind') return mount
  if (mount.from !== '') return [mount, (await context.rootOf(mount.from)).chainID]
  return [mount, await entriesDigest(await selectEntries(context.build.context, mount.source))]
}

function placesOf(context: StepContext): MountPlaces {
  const { build } = context
  return {
    caches: build.caches,
    state: build.state,
    context: build.context,
    async view(from, undo) {
      const root = await context.rootOf(from)
      return undo.use(await build.layers.openView(root)).path
    },
  }
}
