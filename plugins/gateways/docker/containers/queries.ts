/** List and inspect: what is asked of the core, put together. */
import type { ApiVersion } from '../http/api-version.ts'
import type { Query } from '../http/query.ts'
import { logDropsOf } from '../logs/log-drops.ts'
import type { ContainerParts } from './containers.ts'
import { inspectJson, needsNetworkIds } from './inspect.ts'
import { choose, parseListWish } from './list.ts'
import { bandOf, itemText, type Listed } from './listing/listed.ts'
import type { Found } from './store.ts'

const noIds: ReadonlyMap<string, string> = new Map()

export async function inspectContainer(
  parts: ContainerParts,
  found: Found,
  size: boolean,
  version: ApiVersion,
): Promise<object> {
  const [networkIds, sizes, logDrops] = await Promise.all([
    needsNetworkIds(found) ? parts.store.view.networkIdsNow() : noIds,
    size ? sizesOf(parts, { id: found.id, snapshotter: found.core.config?.snapshotter ?? '' }) : undefined,
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

/** The answer's text. */
export async function listContainers(parts: ContainerParts, query: Query, version: ApiVersion): Promise<string> {
  const wish = parseListWish(query)
  const band = bandOf(version)
  const { view } = parts.store
  const [all, ancestors] = await Promise.all([view.all(band), ancestorIds(parts, wish.filters.values('ancestor'))])
  const healthOf = ({ id, health }: Listed) => parts.health.watched(id)?.Status ?? health
  const chosen = choose(all, wish, {
    networkIds: view.networkIds,
    healthOf,
    isAncestor: ({ imageId }, reference) => ancestors.get(reference) === imageId,
  })
  const items = chosen.map(listed => itemText(listed, band, healthOf(listed)))
  const told = wish.size
    ? await Promise.all(chosen.map((listed, at) => withSizes(parts, listed, items[at] ?? '')))
    : items
  return `[${told.join(',')}]`
}

async function withSizes(parts: ContainerParts, { id, snapshotter }: Listed, text: string): Promise<string> {
  const { rw, rootFs } = await sizesOf(parts, { id, snapshotter })
  return JSON.stringify({ ...JSON.parse(text), SizeRw: rw, SizeRootFs: rootFs })
}

async function ancestorIds({ engine }: ContainerParts, references: readonly string[]): Promise<Map<string, string>> {
  const found = await Promise.all(references.map(reference => engine.images.resolve(reference).catch(() => undefined)))
  return new Map(references.map((reference, at) => [reference, found[at]?.id ?? '']))
}

/** Bytes of the container's own layer, and of all of its root. */
async function sizesOf(
  { engine }: ContainerParts,
  { id, snapshotter }: { id: string; snapshotter: string },
): Promise<{ rw: number; rootFs: number }> {
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
