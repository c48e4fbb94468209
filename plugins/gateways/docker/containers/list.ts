/** `docker ps`: which containers, and what of them. */
import { Filters, hasLabel } from '../http/filters.ts'
import { badRequest, noSuchContainer } from '../http/http-error.ts'
import type { Query } from '../http/query.ts'
import { parsePorts } from './create/ports.ts'
import type { Listed } from './listing/listed.ts'
import type { Health } from './record.ts'
import { isActive } from './state.ts'

const known = [
  'ancestor',
  'before',
  'expose',
  'exited',
  'health',
  'id',
  'isolation',
  'is-task',
  'label',
  'name',
  'network',
  'publish',
  'since',
  'status',
  'volume',
]
const statuses = ['created', 'dead', 'exited', 'paused', 'removing', 'restarting', 'running']
const healths = ['starting', 'healthy', 'unhealthy', 'none']

export interface ListWish {
  all: boolean
  /** 0: no limit. */
  limit: number
  size: boolean
  filters: Filters
}

/** 400 in Docker's words. */
export function parseListWish(query: Query): ListWish {
  const limit = query.integer('limit') ?? 0
  const filters = Filters.read(query, known)
  for (const status of filters.values('status'))
    if (!statuses.includes(status)) throw badRequest(`invalid filter 'status=${status}'`)
  for (const health of filters.values('health'))
    if (!healths.includes(health)) throw badRequest(`invalid filter 'health=${health}'`)
  for (const code of filters.values('exited'))
    if (!/^-?\d+$/.test(code))
      throw badRequest(`invalid filter 'exited=${code}': strconv.Atoi: parsing "${code}": invalid syntax`)
  return { all: query.flag('all') || limit > 0, limit: Math.max(0, limit), size: query.flag('size'), filters }
}

export interface Choosing {
  healthOf(listed: Listed): Health['Status'] | undefined
  /** Whether a container's image is that image or built on it; by image references that were resolved before. */
  isAncestor(listed: Listed, reference: string): boolean
  networkIds: ReadonlyMap<string, string>
}

/** Newest first. */
export function choose(
  all: readonly Listed[],
  { all: also, limit, filters }: ListWish,
  by: Choosing,
): readonly Listed[] {
  const wanted = all.filter(found => fits(found, filters, by))
  const bounded = withinBounds(wanted, all, filters)
  const states = filters.has('status') || filters.has('exited') || also
  const shown = states ? bounded : bounded.filter(({ now }) => isActive(now))
  return limit > 0 ? shown.slice(0, limit) : shown
}

function fits(listed: Listed, filters: Filters, by: Choosing): boolean {
  const { id, name, now, labels, mounts, networks, isAttached, exposedPorts, openPorts } = listed
  const isExposed = (value: string) => isAttached && hasPort(exposedPorts.flatMap(parsePorts), value)
  const isPublished = (value: string) =>
    hasPort(
      openPorts.map(({ containerPort, protocol }) => ({ number: containerPort, protocol })),
      value,
    )
  return (
    filters.some('id', value => id.startsWith(value)) &&
    filters.some('name', value => matchesName(name, value)) &&
    filters.every('label', value => hasLabel(labels, value)) &&
    filters.some('status', value => now.name === value) &&
    filters.some('exited', value => now.name === 'exited' && now.exitCode === Number(value)) &&
    filters.some('health', value => (by.healthOf(listed) ?? 'none') === value) &&
    filters.some('ancestor', value => by.isAncestor(listed, value)) &&
    filters.some('volume', value => mounts.some(mount => mount.name === value || mount.destination === value)) &&
    filters.some('network', value =>
      networks.some(network => network === value || (by.networkIds.get(network) ?? '').startsWith(value)),
    ) &&
    filters.some('expose', isExposed) &&
    filters.some('publish', isPublished) &&
    filters.flag('is-task') !== true
  )
}

/** A regular expression, on the name with and without its slash, as Docker's. */
function matchesName(name: string, pattern: string): boolean {
  try {
    const expression = new RegExp(pattern.replace(/^\^?\/?/, start => start.replace('/', '')))
    return expression.test(name) || new RegExp(pattern).test(`/${name}`)
  } catch {
    return name.includes(pattern)
  }
}

function hasPort(ports: readonly { number: number; protocol: string }[], wanted: string): boolean {
  return parsePorts(wanted).some(port =>
    ports.some(has => has.number === port.number && has.protocol === port.protocol),
  )
}

/** `before` and `since` name containers of the whole list, which is sorted by age. 404: there is none of that name. */
function withinBounds(wanted: readonly Listed[], all: readonly Listed[], filters: Filters): readonly Listed[] {
  if (!filters.has('before') && !filters.has('since')) return wanted
  const placeOf = (reference: string) => {
    const at = all.findIndex(({ id, name }) => name === reference.replace(/^\//, '') || id.startsWith(reference))
    if (at < 0) throw noSuchContainer(reference)
    return at
  }
  const before = Math.max(-1, ...filters.values('before').map(placeOf))
  const since = Math.min(all.length, ...filters.values('since').map(placeOf))
  return wanted.filter(listed => {
    const at = all.indexOf(listed)
    return at > before && at < since
  })
}
