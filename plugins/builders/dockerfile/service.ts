/** The build service: a build's call, from its first message to its result. */
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { told } from '#api/concurrency/told.ts'
import { invalidArgument, isGantryError, notFound } from '#api/errors/errors.ts'
import type {
  BuilderServiceDefinition,
  BuildOptions,
  BuildRequest,
  BuildResponse,
} from '#api/gen/gantry/services/builder/v1/builder.ts'
import type { ServiceImpl } from '#api/rpc/definition.ts'
import { timestampOf } from '#api/types/clock.ts'
import { hostPlatform, parsePlatform } from '#api/types/platform.ts'
import type { StepCache } from './cache/step-cache.ts'
import { connectCore, holdLease } from './core/clients.ts'
import { Layers } from './core/layers.ts'
import { parseIgnore } from './files/ignore.ts'
import { resolvePath, type SourceTree } from './files/source-tree.ts'
import { TarSource } from './files/tar-source.ts'
import { parseDockerfile } from './language/parse.ts'
import { BuildEvents } from './solve/build-events.ts'
import { buildImage } from './solve/build-image.ts'

export interface BuilderParts {
  readonly coreAddress: string
  readonly cache: StepCache
  readonly snapshotter: string
  /** Durable folder of RUN's caches. */
  readonly caches: string
  /** Private folder that need not outlive a reboot. */
  readonly state: string
}

const defaultNamespace = 'moby'

export function builderService(parts: BuilderParts): ServiceImpl<typeof BuilderServiceDefinition> {
  return {
    build: (requests, { optionalNamespace, signal }) =>
      told<Partial<BuildResponse>>(tell =>
        build(parts, { requests, namespace: optionalNamespace ?? defaultNamespace, signal, tell }),
      ),
    async prune({ keepBytes, unusedSince }) {
      const since = unusedSince === undefined ? Number.POSITIVE_INFINITY : Number(unusedSince.seconds) * 1000
      return prune(parts, keepBytes, since)
    },
    async list() {
      const entries = parts.cache.list().map(({ key, instruction, chainID, layer, createdAtMs, usedAtMs, uses }) => ({
        ...{ key, instruction, chainId: chainID, sizeBytes: layer.size, uses: BigInt(uses) },
        ...{ createdAt: timestampOf(createdAtMs), usedAt: timestampOf(usedAtMs) },
      }))
      return { entries }
    },
  }
}

interface BuildCall {
  readonly requests: AsyncIterable<BuildRequest>
  readonly namespace: string
  readonly signal: AbortSignal
  readonly tell: (event: Partial<BuildResponse>) => void
}

async function build(parts: BuilderParts, { requests, namespace, signal, tell }: BuildCall): Promise<void> {
  await using undo = new AsyncDisposableStack()
  const messages = requests[Symbol.asyncIterator]()
  const first = await messages.next()
  const options = first.done ? undefined : first.value.options
  if (options === undefined) throw invalidArgument('the first message of a build holds its options')
  const state = await mkdtemp(join(parts.state, 'build-'))
  undo.defer(() => rm(state, { recursive: true, force: true }))
  const received = await TarSource.receive(contextBytes(messages), join(state, 'context'))
  const { text, file } = await dockerfileText(received, options)
  const context = await ignoring(received, file)
  const core = connectCore(parts.coreAddress, namespace)
  undo.defer(() => core.close())
  const lease = await holdLease(core)
  undo.use(lease)
  const { snapshotter, cache, caches } = parts
  const result = await buildImage({
    ...{ core, cache, caches, options, context, snapshotter, state, signal, lease: lease.id },
    layers: new Layers(core, { snapshotter, state, lease: lease.id }),
    events: new BuildEvents(tell),
    dockerfile: parseDockerfile(text, file),
    platform: options.platform === '' ? hostPlatform() : parsePlatform(options.platform),
  })
  tell({ result })
}

async function* contextBytes(messages: AsyncIterator<BuildRequest>): AsyncGenerator<Uint8Array> {
  for (let next = await messages.next(); !next.done; next = await messages.next())
    if (next.value.context !== undefined) yield next.value.context
}

async function dockerfileText(context: SourceTree, options: BuildOptions): Promise<{ text: string; file: string }> {
  const file = options.dockerfile || 'Dockerfile'
  if (options.inlineDockerfile.length > 0) return { text: options.inlineDockerfile.toString(), file }
  const text = await textOf(context, file)
  if (text === undefined) throw notFound(`Cannot locate specified Dockerfile: ${file}`, { bare: true })
  return { text, file }
}

/** The Dockerfile's own ignore file goes before the context's. */
async function ignoring(context: TarSource, dockerfile: string): Promise<TarSource> {
  const text = (await textOf(context, `${dockerfile}.dockerignore`)) ?? (await textOf(context, '.dockerignore'))
  return text === undefined ? context : context.without(parseIgnore(text))
}

async function textOf(context: SourceTree, path: string): Promise<string | undefined> {
  const entry = await context.at(await resolvePath(context, path))
  return entry?.type === 'file' ? Buffer.concat(await context.read(entry).toArray()).toString() : undefined
}

/** Unpins a step's snapshot; the core's collection frees what nobody else holds. */
async function prune(parts: BuilderParts, keepBytes: bigint, unusedSinceMs: number) {
  const { cache, coreAddress, snapshotter } = parts
  const core = connectCore(coreAddress, defaultNamespace)
  const steps = cache.list()
  let left = steps.reduce((sum, { layer }) => sum + layer.size, 0n)
  const keys: string[] = []
  const before = left
  for (const { key, chainID, layer, usedAtMs } of steps) {
    if (left <= keepBytes) break
    if (usedAtMs > unusedSinceMs) continue
    cache.forget(key)
    const info = { name: chainID, labels: { 'containerd.io/gc.root': '' } }
    const unpinned = core.snapshots.update({ snapshotter, info, updateMask: ['labels.containerd.io/gc.root'] })
    await unpinned.catch(error => {
      if (!isGantryError(error, 'NOT_FOUND')) throw error
    })
    keys.push(key)
    left -= layer.size
  }
  core.close()
  return { keys, freedBytes: before - left }
}
