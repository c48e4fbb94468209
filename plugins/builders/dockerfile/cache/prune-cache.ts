/** What the cache gives up: finished steps, and folders of `RUN --mount=type=cache`. */
import { isGantryError } from '#api/errors/errors.ts'
import { NamespacesDefinition } from '#api/gen/containerd/services/namespaces/v1/namespaces.ts'
import { connect, createClient } from '#api/rpc/client.ts'
import { connectCore } from '../core/clients.ts'
import { forgetMountCache, listMountCaches } from './mount-caches.ts'
import type { CachedStep, StepCache } from './step-cache.ts'

export interface Prunable {
  readonly coreAddress: string
  readonly cache: StepCache
  readonly snapshotter: string
  /** Folder of the mounts' caches. */
  readonly caches: string
}

export interface PrunePolicy {
  /** What was used last stays, up to so much. */
  readonly keepBytes: bigint
  /** What was used after this stays. */
  readonly unusedSinceMs: number
}

export interface Pruned {
  readonly keys: string[]
  readonly freedBytes: bigint
}

interface Candidate {
  readonly key: string
  readonly sizeBytes: bigint
  readonly usedAtMs: number
  forget(): Promise<void>
}

/** Least recently used first; what a running build stands on stays. The core's collection frees what nobody else holds. */
export async function pruneCache(parts: Prunable, { keepBytes, unusedSinceMs }: PrunePolicy): Promise<Pruned> {
  const { cache } = parts
  const candidates = [...steps(parts), ...(await mounts(parts))].toSorted((a, b) => a.usedAtMs - b.usedAtMs)
  const before = candidates.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0n)
  const keys: string[] = []
  let left = before
  for (const one of candidates) {
    if (left <= keepBytes && keepBytes > 0n) break
    if (one.usedAtMs > unusedSinceMs || cache.isInUse(one)) continue
    await one.forget()
    keys.push(one.key)
    left -= one.sizeBytes
  }
  return { keys, freedBytes: before - left }
}

function steps(parts: Prunable): Candidate[] {
  return parts.cache.list().map(step => ({
    ...{ key: step.key, usedAtMs: step.usedAtMs, sizeBytes: step.layer?.size ?? 0n },
    async forget() {
      parts.cache.forget(step.key)
      await unpin(parts, step)
    },
  }))
}

async function mounts({ caches }: Prunable): Promise<Candidate[]> {
  return (await listMountCaches(caches)).map(({ name, sizeBytes, usedAtMs }) => ({
    ...{ key: `mount-${name}`, sizeBytes: BigInt(sizeBytes), usedAtMs },
    forget: () => forgetMountCache(caches, name),
  }))
}

/** In whatever namespace it was built. What changed nothing pins nothing. */
async function unpin({ coreAddress, snapshotter }: Prunable, { chainID, layer }: CachedStep): Promise<void> {
  if (layer === undefined) return
  const channel = connect(coreAddress, {})
  const listed = createClient(NamespacesDefinition, channel).list({})
  const { namespaces } = await listed.finally(() => channel.close())
  for (const { name } of namespaces) {
    const core = connectCore(coreAddress, name)
    const info = { name: chainID, labels: { 'containerd.io/gc.root': '' } }
    const unpinned = core.snapshots.update({ snapshotter, info, updateMask: ['labels.containerd.io/gc.root'] })
    const done = unpinned.catch(error => {
      if (!isGantryError(error, 'NOT_FOUND')) throw error
    })
    await done.finally(() => core.close())
  }
}
