/** `GET /images/json`. */
import type { Reference } from '#api/types/reference.ts'
import { parseTimestamp } from '../events/timestamps.ts'
import { type ApiVersion, atLeast } from '../http/api-version.ts'
import { Filters, hasLabel } from '../http/filters.ts'
import type { Query } from '../http/query.ts'
import type { CatalogImage } from './catalog.ts'
import { familiarMatch } from './familiar-match.ts'
import { createdMs } from './image-json.ts'
import { shown } from './names.ts'
import type { ImageRoom } from './room.ts'

const knownFilters = ['dangling', 'label', 'before', 'since', 'reference', 'until']

interface Summary {
  Id: string
  ParentId: string
  RepoTags: string[]
  RepoDigests: string[]
  Created: number
  Size: number
  SharedSize: number
  VirtualSize?: number
  Labels: Record<string, string> | null
  Containers: number
  Descriptor?: object
}

/** `withCounts`: containers are counted whatever the version. */
export async function listImages(
  room: ImageRoom,
  query: Query,
  version: ApiVersion,
  { withCounts = atLeast(version, '1.51') } = {},
): Promise<Summary[]> {
  const filters = Filters.read(query, knownFilters)
  const all = await room.catalog.all()
  const window = await timeWindow(room, filters)
  const patterns = [...filters.values('reference'), ...legacyPattern(query, version)]
  const wanted = all.filter(image => isInWindow(image, window) && hasLabels(image, filters))
  const chosen = wanted.flatMap(image => named(image, patterns, filters.flag('dangling')))
  const shared =
    query.flag('shared-size') && (withCounts || atLeast(version, '1.42')) ? await sharedSizes(room, all) : undefined
  const containers = withCounts ? await containerCounts(room) : undefined
  return Promise.all(chosen.map(async choice => summary(room, choice, { shared, containers, version })))
}

/** Only the names that match are shown. */
interface Choice {
  image: CatalogImage
  tags: readonly Reference[]
  digests: readonly Reference[]
}

function named(image: CatalogImage, patterns: readonly string[], dangling: boolean | undefined): Choice[] {
  const fits = (reference: Reference) => patterns.length === 0 || patterns.some(one => familiarMatch(one, reference))
  const [tags, digests] = [image.tags.filter(fits), image.digests.filter(fits)]
  if (dangling === true && tags.length > 0) return []
  if (tags.length === 0 && digests.length === 0 && (patterns.length > 0 || dangling === false)) return []
  return [{ image, tags, digests }]
}

/** Before API 1.41 there was a parameter for it. */
function legacyPattern(query: Query, version: ApiVersion): string[] {
  const filter = query.text('filter')
  return filter !== '' && !atLeast(version, '1.41') ? [filter] : []
}

interface TimeWindow {
  /** Milliseconds, exclusive. */
  after: number
  before: number
}

/** `before` and `since` name images, `until` a time. */
async function timeWindow({ catalog }: ImageRoom, filters: Filters): Promise<TimeWindow> {
  const createdOf = async (name: string) => createdMs((await catalog.resolve(name)).json)
  const before = await Promise.all(filters.values('before').map(createdOf))
  const since = await Promise.all(filters.values('since').map(createdOf))
  const until = filters.values('until').map(text => Number(parseTimestamp(text) / 1_000_000n))
  return {
    before: Math.min(Number.POSITIVE_INFINITY, ...until, ...before.filter(at => at !== undefined)),
    after: Math.max(Number.NEGATIVE_INFINITY, ...since.filter(at => at !== undefined)),
  }
}

function isInWindow({ json }: CatalogImage, { after, before }: TimeWindow): boolean {
  const at = createdMs(json)
  if (at === undefined) return after === Number.NEGATIVE_INFINITY && before === Number.POSITIVE_INFINITY
  return at > after && at < before
}

function hasLabels({ json }: CatalogImage, filters: Filters): boolean {
  return filters.every('label', wanted => hasLabel(json.config?.Labels ?? {}, wanted))
}

async function containerCounts({ engine }: ImageRoom): Promise<Map<string, number>> {
  const counts = new Map<string, number>()
  for (const { imageId } of await engine.containers.list()) counts.set(imageId, (counts.get(imageId) ?? 0) + 1)
  return counts
}

/** Bytes in layers that another image has too, by image. */
async function sharedSizes({ sizes }: ImageRoom, images: readonly CatalogImage[]): Promise<Map<string, number>> {
  const users = new Map<string, number>()
  for (const chainId of images.flatMap(image => image.chainIds)) users.set(chainId, (users.get(chainId) ?? 0) + 1)
  const entries = images.map(async (image): Promise<[string, number]> => {
    const layers = await sizes.of(image)
    const sum = image.chainIds.reduce((total, id, i) => total + ((users.get(id) ?? 0) > 1 ? (layers[i] ?? 0) : 0), 0)
    return [image.id, sum]
  })
  return new Map(await Promise.all(entries))
}

interface SummaryFacts {
  shared: ReadonlyMap<string, number> | undefined
  containers: ReadonlyMap<string, number> | undefined
  version: ApiVersion
}

async function summary(room: ImageRoom, { image, tags, digests }: Choice, facts: SummaryFacts): Promise<Summary> {
  const { version, shared, containers } = facts
  const size = await room.sizes.total(image)
  const nameless = tags.length === 0 && digests.length === 0 && !atLeast(version, '1.43')
  const target = image.target
  return {
    Containers: containers === undefined ? -1 : (containers.get(image.id) ?? 0),
    Created: Math.floor((createdMs(image.json) ?? 0) / 1000),
    Id: image.id,
    Labels: image.json.config?.Labels ?? null,
    ParentId: '',
    RepoDigests: nameless ? ['<none>@<none>'] : digests.map(shown),
    RepoTags: nameless ? ['<none>:<none>'] : tags.map(shown),
    SharedSize: shared?.get(image.id) ?? -1,
    Size: size,
    ...(!atLeast(version, '1.44') && { VirtualSize: size }),
    ...(atLeast(version, '1.48') && {
      Descriptor: { mediaType: target.mediaType, digest: target.digest, size: Number(target.size) },
    }),
  }
}
