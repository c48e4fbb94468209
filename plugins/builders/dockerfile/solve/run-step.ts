/** RUN as a step: its inputs for the cache, its mounts, its container. */
import { invalidArgument, permissionDenied } from '#api/errors/errors.ts'
import { requireRunnable } from '../core/emulation.ts'
import type { RunInstruction } from '../language/dockerfile.ts'
import { type RunMount, readMount } from '../language/mount.ts'
import { runCommand } from '../steps/command-line.ts'
import { entryDigests, totalDigest } from '../steps/copy-archive.ts'
import { mountPoints } from '../steps/mount-points.ts'
import { runContainer } from '../steps/run.ts'
import { type MountPlaces, runMounts } from '../steps/run-mounts.ts'
import { selectEntries } from '../steps/select-sources.ts'
import { predefinedArgs, settingsOf } from './arguments.ts'
import { withScratchImage } from './scratch.ts'
import { environment, runConfig, type StageState } from './stage-state.ts'
import { cachedOr, expandIn, remember, type StepContext } from './step-context.ts'

export async function runStep(context: StepContext, instruction: RunInstruction): Promise<StageState> {
  const { build, state, step } = context
  const command = runCommand(state, instruction)
  const { hostname, cacheNamespace } = settingsOf(build.options.args)
  const mounts = instruction.mounts.map(text => inNamespace(cacheNamespace, readMount(expandIn(context, text))))
  const { WorkingDir = '/', User = '' } = runConfig(state)
  const { args, env, proxies } = environmentOf(context)
  const network = networkOf(context, instruction)
  const privileged = isInsecure(context, instruction)
  const where = {
    workingDir: WorkingDir,
    user: User,
    network,
    extraHosts: build.options.extraHosts,
    privileged,
    hostname,
  }
  const inputs = {
    command: command.args,
    'here-document': command.script?.content,
    platform: state.platform,
    ...{ 'working directory': WorkingDir, user: User, network, 'extra hosts': where.extraHosts, privileged },
    ...(hostname !== '' && { hostname }),
    ...variables(env),
    ...(await mountInputs(context, mounts)),
  }
  const historyLine = runLine(args, command.text)
  const root = await cachedOr(context, { kind: 'RUN', inputs, text: instruction.text, historyLine }, async () => {
    await requireRunnable(state.platform)
    return withScratchImage(build, state, image =>
      build.layers.grow(state.root, async ({ key: id, mounts: root, undo }) => {
        const { core, snapshotter, lease, signal } = build
        const bound = await runMounts(mounts, WorkingDir, placesOf(context), undo)
        const targets = bound.mounts.map(({ target }) => target)
        const clean = await mountPoints(
          root,
          [...targets, ...(command.script ? [command.script.path] : [])],
          build.state,
        )
        const request = { id, image, snapshotter, command, lease, signal, ...where, ...bound, state: build.state }
        const output = (stream: 'stdout' | 'stderr', bytes: Buffer) => step.output(stream, bytes)
        await runContainer(core, { ...request, env: [...proxies, ...env, ...bound.env], output }, undo)
        await clean()
        return undefined
      }),
    )
  })
  return remember(build, { ...state, root }, historyLine, root === state.root)
}

function inNamespace(namespace: string, mount: RunMount): RunMount {
  return namespace === '' || mount.type !== 'cache' ? mount : { ...mount, id: `${namespace}/${mount.id}` }
}

/** What RUN sees: the image's environment, declared arguments below it, and proxies that nobody declared. */
function environmentOf({ state, buildArgs }: StepContext) {
  const { Env = [] } = runConfig(state)
  const own = environment(Env)
  const args = [...state.args].filter(([name]) => !own.has(name)).map(([name, value]) => `${name}=${value}`)
  const proxies = [...buildArgs].filter(([name]) => predefinedArgs.has(name)).map(([name, value]) => `${name}=${value}`)
  return { args, env: [...Env, ...args], proxies }
}

/** Each by its name, so that a miss can name it; proxies count for nothing. */
function variables(env: readonly string[]): Record<string, string> {
  const counted = [...environment(env)].filter(([name]) => !predefinedArgs.has(name))
  return Object.fromEntries(counted.map(([name, value]) => [`variable ${name}`, value]))
}

async function mountInputs(context: StepContext, mounts: readonly RunMount[]): Promise<Record<string, unknown>> {
  const seen = await Promise.all(mounts.map(mount => identity(context, mount)))
  return Object.fromEntries(mounts.map(({ type, target }, at) => [`${type} mount at "${target}"`, seen[at]]))
}

/** INVALID_ARGUMENT: a word that is none of the two. PERMISSION_DENIED: it was not allowed to this build. */
function isInsecure({ build }: StepContext, { security = 'sandbox' }: RunInstruction): boolean {
  if (security === 'sandbox') return false
  if (security !== 'insecure') throw invalidArgument(`security "${security}": it is sandbox or insecure`)
  if (build.options.entitlements.includes('security.insecure')) return true
  throw permissionDenied(
    'RUN --security=insecure: security.insecure is not allowed; build with --allow security.insecure',
  )
}

/** Docker's classic builder counts the arguments it passes. */
function runLine(args: readonly string[], command: string): string {
  return args.length === 0 ? command : `|${args.length} ${args.toSorted().join(' ')} ${command}`
}

/**
 * The build's network, unless the step asks for another. INVALID_ARGUMENT: a word that is none of three.
 * PERMISSION_DENIED: this machine's own, which a Dockerfile cannot give itself.
 */
function networkOf({ build }: StepContext, { network: asked = 'default' }: RunInstruction): string {
  const { network, entitlements } = build.options
  if (!['default', 'none', 'host'].includes(asked))
    throw invalidArgument(`invalid network mode "${asked}": RUN --network is default, none or host`)
  if (asked === 'host' && network !== 'host' && !entitlements.includes('network.host'))
    throw permissionDenied('RUN --network=host: network.host is not allowed; build with --allow network.host')
  const name = asked === 'default' ? network : asked
  return name === '' || name === 'default' ? 'bridge' : name
}

/** What of a mount can change what the step makes: where it is, and the bytes of what is bound. */
async function identity(context: StepContext, mount: RunMount): Promise<unknown> {
  if (mount.type !== 'bind') return mount
  const source = mount.from === '' ? { tree: context.build.context } : await context.sourceOf(mount.from)
  if ('root' in source) return [mount, source.root.chainID]
  return [mount, totalDigest(await entryDigests(await selectEntries(source.tree, mount.source)))]
}

function placesOf(context: StepContext): MountPlaces {
  const { build } = context
  return {
    caches: build.caches,
    ...{ state: build.state, context: build.context },
    ...{ secrets: build.options.secrets, agents: build.options.sshAgents },
    async open(from, access, undo) {
      const source = await context.sourceOf(from)
      if ('tree' in source) return source
      const { path } = undo.use(await build.layers[access === 'ro' ? 'openView' : 'openCopy'](source.root))
      return { folder: path }
    },
  }
}
