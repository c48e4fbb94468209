/** The build service: its verbs. */
import { told } from '#api/concurrency/told.ts'
import { notFound } from '#api/errors/errors.ts'
import type { BuilderServiceDefinition, BuildResponse } from '#api/gen/gantry/services/builder/v1/builder.ts'
import type { ServiceImpl } from '#api/rpc/definition.ts'
import { timestampOf } from '#api/types/clock.ts'
import { type BuilderParts, build } from './build-call.ts'
import { listMountCaches } from './cache/mount-caches.ts'
import { pruneCache } from './cache/prune-cache.ts'

const defaultNamespace = 'moby'

export function builderService(parts: BuilderParts): ServiceImpl<typeof BuilderServiceDefinition> {
  return {
    build: (requests, { optionalNamespace, signal }) =>
      told<Partial<BuildResponse>>(async tell => {
        using _ended = { [Symbol.dispose]: () => parts.budget.buildEnded() }
        using _ = parts.cache.building()
        await build(parts, { requests, namespace: optionalNamespace ?? defaultNamespace, signal, tell })
      }),
    async prune({ keepBytes, unusedSince }) {
      const unusedSinceMs = unusedSince === undefined ? Number.POSITIVE_INFINITY : Number(unusedSince.seconds) * 1000
      return pruneCache(parts, { keepBytes, unusedSinceMs })
    },
    async explain({ buildId }) {
      const found = parts.log.find(buildId)
      if (found === undefined) throw notFound(`build "${buildId}" among the last ones`)
      const steps = found.steps.map(({ reason, ...step }) => ({ ...step, missReason: reason }))
      return { buildId: found.id, startedAt: timestampOf(found.startedAtMs), steps }
    },
    async list() {
      const steps = parts.cache.list().map(({ key, instruction, chainID, layer, createdAtMs, usedAtMs, uses }) => ({
        ...{ key, instruction, chainId: chainID, sizeBytes: layer?.size ?? 0n, uses: BigInt(uses) },
        ...{ createdAt: timestampOf(createdAtMs), usedAt: timestampOf(usedAtMs) },
      }))
      const mounts = (await listMountCaches(parts.caches)).map(({ name, sizeBytes, usedAtMs }) => ({
        ...{ key: `mount-${name}`, instruction: 'RUN --mount=type=cache', chainId: '', sizeBytes: BigInt(sizeBytes) },
        ...{ createdAt: undefined, usedAt: timestampOf(usedAtMs), uses: 0n },
      }))
      return { entries: [...steps, ...mounts] }
    },
  }
}
