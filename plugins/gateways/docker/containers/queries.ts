/** List and inspect: what is asked of the core, put together. */
import type { ApiVersion } from '../http/api-version.ts'
import type { Query } from '../http/query.ts'
import { logDropsOf } from '../logs/log-drops.ts'
import type { ContainerParts } from './containers.ts'
import { inspectJson } from './inspect.ts'
import { choose, listItemJson, parseListWish } from './list.ts'
import type { Found } from './store.ts'

export async function inspectContainer(
  parts: ContainerParts,
  found: Found,
  size: boolean,
  version: ApiVersion,
): Promise<object> {
  const [networkIds, sizes, logDrops] = await Promise.all([
    networkIdsOf(parts),
    size ? sizesOf(parts, found) : undefined,
    logDropsOf(found.core.paths?.logFile ?? ''),
  ])
  return inspectJson(found, {
    version,
    networkIds,
    sizes,
    logDrops,
    health: parts.health.healthOf(found),
    execIds: parts.execs.table.idsOf(found.id),
  })
}

export async function listContainers(parts: ContainerParts, query: Query, version: ApiVersion): Promise<object[]> {
  const wish = parseListWish(query)
  const [all, networkIds, ancestors] = await Promise.all([
    parts.store.all(),
    networkIdsOf(parts),
    ancestorIds(parts, wish.filters.values('ancestor')),
  ])
  const chosen = choose(all, wish, {
    networkIds,
    healthOf: found => parts.health.healthOf(found),
    isAncestor: ({ record }, reference) => ancestors.get(reference) === record.imageId,
  })
  return Promise.all(
    chosen.map(async found =>
      listItemJson(found, {
        version,
        networkIds,
        health: parts.health.healthOf(found),
        imageName: found.record.config.Image,
        sizes: wish.size ? await sizesOf(parts, found) : undefined,
      }),
    ),
  )
}

/** Ids by name, of the networks of Docker's tenant namespace. */
async function networkIdsOf({ engine }: Pick<ContainerParts, 'engine'>): Promise<ReadonlyMap<string, string>> {
  const { networks } = await engine.core.networks.list({})
  return new Map(networks.map(({ network }) => [network?.name ?? '', network?.id ?? '']))
}

async function ancestorIds({ engine }: ContainerParts, references: readonly string[]): Promise<Map<string, string>> {
  const found = await Promise.all(references.map(reference => engine.images.resolve(reference).catch(() => undefined)))
  return new Map(references.map((reference, at) => [reference, found[at]?.id ?? '']))
}

/** Bytes of the container's own layer, and of all of its root. */
async function sizesOf({ engine }: ContainerParts, { core }: Found): Promise<{ rw: number; rootFs: number }> {
  const { snapshotter = '', id = '' } = core.config ?? {}
  const usage = (key: string) =>
    engine.core.snapshots.usage({ snapshotter, key }).then(
      ({ size }) => Number(size),
      () => 0,
    )
  const rw = await usage(id)
  let [rootFs, key] = [rw, id]
  for (let depth = 0; depth < 256; depth++) {
    const { info } = await engine.core.snapshots.stat({ snapshotter, key }).catch(() => ({ info: undefined }))
    if (!info?.parent) break
    key = info.parent
    rootFs += await usage(key)
  }
  return { rw, rootFs }
}
