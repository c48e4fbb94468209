/** The build service: its verbs. */
import { told } from '#api/concurrency/told.ts'
import { isGantryError, notFound } from '#api/errors/errors.ts'
import type { BuilderServiceDefinition, BuildResponse } from '#api/gen/gantry/services/builder/v1/builder.ts'
import type { ServiceImpl } from '#api/rpc/definition.ts'
import { timestampOf } from '#api/types/clock.ts'
import { type BuilderParts, build } from './build-call.ts'
import { connectCore } from './core/clients.ts'

const defaultNamespace = 'moby'

export function builderService(parts: BuilderParts): ServiceImpl<typeof BuilderServiceDefinition> {
  return {
    build: (requests, { optionalNamespace, signal }) =>
      told<Partial<BuildResponse>>(async tell => {
        using _ = parts.cache.building()
        await build(parts, { requests, namespace: optionalNamespace ?? defaultNamespace, signal, tell })
      }),
    async prune({ keepBytes, unusedSince }) {
      const since = unusedSince === undefined ? Number.POSITIVE_INFINITY : Number(unusedSince.seconds) * 1000
      return prune(parts, keepBytes, since)
    },
    async explain({ buildId }) {
      const found = parts.log.find(buildId)
      if (found === undefined) throw notFound(`build "${buildId}" among the last ones`)
      const steps = found.steps.map(({ reason, ...step }) => ({ ...step, missReason: reason }))
      return { buildId: found.id, startedAt: timestampOf(found.startedAtMs), steps }
    },
    async list() {
      const entries = parts.cache.list().map(({ key, instruction, chainID, layer, createdAtMs, usedAtMs, uses }) => ({
        ...{ key, instruction, chainId: chainID, sizeBytes: layer?.size ?? 0n, uses: BigInt(uses) },
        ...{ createdAt: timestampOf(createdAtMs), usedAt: timestampOf(usedAtMs) },
      }))
      return { entries }
    },
  }
}

/** Unpins a step's snapshot; the core's collection frees what nobody else holds. */
async function prune(parts: BuilderParts, keepBytes: bigint, unusedSinceMs: number) {
  const { cache, coreAddress, snapshotter } = parts
  const core = connectCore(coreAddress, defaultNamespace)
  const steps = cache.list()
  let left = steps.reduce((sum, { layer }) => sum + (layer?.size ?? 0n), 0n)
  const keys: string[] = []
  const before = left
  for (const step of steps) {
    const { key, chainID, layer, usedAtMs } = step
    if (left <= keepBytes) break
    if (usedAtMs > unusedSinceMs || cache.isInUse(step)) continue
    cache.forget(key)
    keys.push(key)
    // What changed nothing pins nothing.
    if (layer === undefined) continue
    const info = { name: chainID, labels: { 'containerd.io/gc.root': '' } }
    const unpinned = core.snapshots.update({ snapshotter, info, updateMask: ['labels.containerd.io/gc.root'] })
    await unpinned.catch(error => {
      if (!isGantryError(error, 'NOT_FOUND')) throw error
    })
    left -= layer?.size ?? 0n
  }
  core.close()
  return { keys, freedBytes: before - left }
}
