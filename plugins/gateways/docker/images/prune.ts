/** `POST /images/prune`: dangling images, or all that no container uses. */
import { parseTimestamp } from '../events/timestamps.ts'
import { Filters, hasLabel } from '../http/filters.ts'
import { HttpError } from '../http/http-error.ts'
import type { Query } from '../http/query.ts'
import type { CatalogImage } from './catalog.ts'
import { createdMs } from './image-json.ts'
import { shown } from './names.ts'
import { type Removal, removeImage } from './remove.ts'
import type { ImageRoom } from './room.ts'

export async function pruneImages(
  room: ImageRoom,
  query: Query,
): Promise<{ ImagesDeleted: Removal[] | null; SpaceReclaimed: number }> {
  const filters = Filters.read(query, ['dangling', 'label', 'label!', 'until'])
  const danglingOnly = filters.flag('dangling') ?? true
  const until = filters.values('until').map(text => Number(parseTimestamp(text) / 1_000_000n))[0]
  const removals: Removal[] = []
  let reclaimed = 0
  for (const image of await room.catalog.all()) {
    if (!isWanted(image, filters, until)) continue
    const layers = await room.sizes.of(image)
    const sizeOf = new Map(image.chainIds.map((chainId, i) => [chainId, layers[i] ?? 0]))
    const removed = await removeAll(room, image, danglingOnly)
    removals.push(...removed)
    for (const removal of removed) reclaimed += 'Deleted' in removal ? (sizeOf.get(removal.Deleted) ?? 0) : 0
  }
  const attributes = { reclaimed: `${reclaimed}` }
  room.engine.events.publish({ type: 'image', action: 'prune', actor: { id: '', attributes } })
  return { ImagesDeleted: removals.length === 0 ? null : removals, SpaceReclaimed: reclaimed }
}

function isWanted({ json }: CatalogImage, filters: Filters, until: number | undefined): boolean {
  const labels = json.config?.Labels ?? {}
  if (until !== undefined && (createdMs(json) ?? Number.POSITIVE_INFINITY) > until) return false
  if (filters.values('label!').some(unwanted => hasLabel(labels, unwanted))) return false
  return filters.every('label', wanted => hasLabel(labels, wanted))
}

/** Name by name, so that an image in use loses all but its last one. */
async function removeAll(room: ImageRoom, image: CatalogImage, danglingOnly: boolean): Promise<Removal[]> {
  if (danglingOnly && image.tags.length > 0) return []
  const names = [...image.tags, ...image.digests].map(shown)
  const removals: Removal[] = []
  for (const name of names.length === 0 ? [image.id] : names) removals.push(...(await removeQuietly(room, name)))
  return removals
}

/** In use, or gone with a name before: not an error here. */
async function removeQuietly(room: ImageRoom, name: string): Promise<Removal[]> {
  try {
    return await removeImage(room, name, false)
  } catch (error) {
    if (error instanceof HttpError && (error.status === 409 || error.status === 404)) return []
    throw error
  }
}
