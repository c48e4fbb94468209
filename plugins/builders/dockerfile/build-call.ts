/** A build's call, from its first message to its result. */
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { KeyedLock } from '#api/concurrency/keyed-lock.ts'
import { invalidArgument } from '#api/errors/errors.ts'
import type { BuildRequest, BuildResponse } from '#api/gen/gantry/services/builder/v1/builder.ts'
import { formatPlatform, hostPlatform, type Platform, parsePlatform } from '#api/types/platform.ts'
import type { Budget } from './cache/budget.ts'
import type { BuildLog, LoggedStep } from './cache/build-log.ts'
import { openCaches } from './cache/foreign/open-caches.ts'
import type { StepCache } from './cache/step-cache.ts'
import { CheckSettings, check } from './checks/checks.ts'
import { importLayout } from './contexts/import-layout.ts'
import { NamedContexts } from './contexts/named-contexts.ts'
import { dockerfileText, ignoreOf, receiveContexts } from './contexts/receive-contexts.ts'
import { connectCore, holdLease } from './core/clients.ts'
import { Layers } from './core/layers.ts'
import { Registries } from './core/registries.ts'
import { ignoreMissing } from './core/sweep.ts'
import { ignoring } from './files/ignoring.ts'
import type { Dockerfile } from './language/dockerfile.ts'
import { parseDockerfile } from './language/parse.ts'
import { BuildEvents } from './solve/build-events.ts'
import { buildImage } from './solve/build-image.ts'

/** What all builds of this plugin share. */
export interface BuilderParts {
  readonly coreAddress: string
  readonly cache: StepCache
  readonly budget: Budget
  readonly log: BuildLog
  /** Steps that are being done now, by key. */
  readonly inProgress: KeyedLock
  readonly snapshotter: string
  /** Durable folder of RUN's caches. */
  readonly caches: string
  /** Private folder that need not outlive a reboot. */
  readonly state: string
}

export interface BuildCall {
  readonly requests: AsyncIterable<BuildRequest>
  readonly namespace: string
  readonly signal: AbortSignal
  readonly tell: (event: Partial<BuildResponse>) => void
}

export async function build(parts: BuilderParts, { requests, namespace, signal, tell }: BuildCall): Promise<void> {
  await using undo = new AsyncDisposableStack()
  const messages = requests[Symbol.asyncIterator]()
  const first = await messages.next()
  const options = first.done ? undefined : first.value.options
  if (options === undefined) throw invalidArgument('the first message of a build holds its options')
  const state = await mkdtemp(join(parts.state, 'build-'))
  undo.defer(() => rm(state, { recursive: true, force: true }))
  const { context: received, named } = await receiveContexts(messages, options, { state, signal })
  const { text, file } = await dockerfileText(received, options)
  const ignore = await ignoreOf(received, file, options)
  const context = ignore === undefined ? received : await ignoring(received, ignore)
  const dockerfile = parseDockerfile(text, file)
  const steps: LoggedStep[] = []
  const events = new BuildEvents(noting(steps, tell))
  warn(dockerfile, events)
  if (options.checkOnly) return
  const epoch = epochOf(options.args.SOURCE_DATE_EPOCH)
  const [id, startedAtMs] = [crypto.randomUUID(), Date.now()]
  undo.defer(() => parts.log.record({ id, startedAtMs, steps }))
  const core = connectCore(parts.coreAddress, namespace)
  undo.defer(() => core.close())
  const lease = await holdLease(core)
  undo.use(lease)
  const { snapshotter, cache, caches, inProgress } = parts
  const registries = new Registries(core, options, lease.id)
  const platforms = platformsOf(options.platform)
  const [platform = hostPlatform()] = platforms
  const contexts = new NamedContexts({
    ...{ wanted: options.namedContexts, received: named, state, signal },
    ...{ agents: options.sshAgents, secrets: options.secrets },
    async importLayout(address) {
      const name = await importLayout(core, address, { lease: lease.id, platforms })
      undo.defer(() => ignoreMissing(core.images.delete({ name })))
      return name
    },
  })
  const shared = {
    ...{ core, cache, caches, inProgress, options, context, snapshotter, state, signal, epoch, lease: lease.id },
    layers: new Layers(core, { snapshotter, state, epoch, lease: lease.id }),
    ...{ events, dockerfile, registries, contexts, ignore },
    foreignCaches: await openCaches(options.cacheFrom, { core, registries, platform, signal, events }),
  }
  const result = await buildImage(shared, platforms)
  tell({ result: { ...result, buildId: id } })
}

/** INVALID_ARGUMENT: the Dockerfile wants its warnings to be errors. */
function warn(dockerfile: Dockerfile, events: BuildEvents): void {
  const warnings = check(dockerfile)
  for (const warning of warnings) events.warn(warning, dockerfile)
  if (warnings.length === 0 || !new CheckSettings(dockerfile.directives.check).isError) return
  const rules = [...new Set(warnings.map(({ rule }) => rule))].toSorted()
  throw invalidArgument(`lint violation found for rules: ${rules.join(', ')}`)
}

/** Passes on what is told, and notes how each step ended. */
function noting(steps: LoggedStep[], tell: BuildCall['tell']): BuildCall['tell'] {
  return event => {
    const { step } = event
    if (step?.completedAt !== undefined && step.number > 0) {
      const { number, name, cached, missReason } = step
      steps.push({ number, name, cached, reason: missReason })
    }
    tell(event)
  }
}

/** INVALID_ARGUMENT: one is no platform. Each once. */
function platformsOf(text: string): Platform[] {
  if (text === '') return [hostPlatform()]
  const platforms = text.split(',').map(one => parsePlatform(one.trim()))
  return [...new Map(platforms.map(one => [formatPlatform(one), one])).values()]
}

/** INVALID_ARGUMENT: it is no number of seconds. */
function epochOf(seconds: string | undefined): Date | undefined {
  if (seconds === undefined || seconds === '') return undefined
  if (!/^\d{1,11}$/.test(seconds))
    throw invalidArgument(`SOURCE_DATE_EPOCH "${seconds}" is not a number of seconds since 1970`)
  return new Date(Number(seconds) * 1000)
}
