/** `docker ps`: which containers, and what of them. */
import { type ApiVersion, atLeast } from '../http/api-version.ts'
import { Filters, hasLabel } from '../http/filters.ts'
import { badRequest, noSuchContainer } from '../http/http-error.ts'
import type { Query } from '../http/query.ts'
import { parsePorts } from './create/ports.ts'
import { isShown, mountJson, networksJson } from './inspect.ts'
import { openPorts, portListJson } from './network-json.ts'
import type { Health } from './record.ts'
import { isRunning, statusText } from './state.ts'
import type { Found } from './store.ts'

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
  const filters = Filters.read(query, known)
  for (const status of filters.values('status'))
    if (!statuses.includes(status)) throw badRequest(`invalid filter 'status=${status}'`)
  for (const health of filters.values('health'))
    if (!healths.includes(health)) throw badRequest(`invalid filter 'health=${health}'`)
  for (const code of filters.values('exited'))
    if (!/^-?\d+$/.test(code))
      throw badRequest(`invalid filter 'exited=${code}': strconv.Atoi: parsing "${code}": invalid syntax`)
  const limit = query.integer('limit') ?? 0
  return { all: query.flag('all') || limit > 0, limit: Math.max(0, limit), size: query.flag('size'), filters }
}

export interface Choosing {
  healthOf(found: Found): Health | undefined
  /** Whether a container's image is that image or built on it; by image references that were resolved before. */
  isAncestor(found: Found, reference: string): boolean
  networkIds: ReadonlyMap<string, string>
}

/** Newest first. */
export function choose(all: readonly Found[], { all: also, limit, filters }: ListWish, by: Choosing): Found[] {
  const wanted = all.filter(found => fits(found, filters, by))
  const bounded = withinBounds(wanted, all, filters)
  const states = filters.has('status') || filters.has('exited') || also
  const shown = states ? bounded : bounded.filter(({ state }) => isRunning(state) || state.name === 'restarting')
  return limit > 0 ? shown.slice(0, limit) : shown
}

function fits(found: Found, filters: Filters, by: Choosing): boolean {
  const { id, name, record, state, core } = found
  const { Labels, ExposedPorts } = record.config
  const exposed = core.attachments.length === 0 ? [] : Object.keys(ExposedPorts ?? {}).flatMap(parsePorts)
  const networks = (core.config?.networks ?? []).map(({ network }) => network)
  return (
    filters.some('id', value => id.startsWith(value)) &&
    filters.some('name', value => matchesName(name, value)) &&
    filters.every('label', value => hasLabel(Labels ?? {}, value)) &&
    filters.some('status', value => state.name === value) &&
    filters.some('exited', value => state.name === 'exited' && state.exitCode === Number(value)) &&
    filters.some('health', value => (by.healthOf(found)?.Status ?? 'none') === value) &&
    filters.some('ancestor', value => by.isAncestor(found, value)) &&
    filters.some('volume', value =>
      record.mounts.some(({ Name, Destination }) => Name === value || Destination === value),
    ) &&
    filters.some('network', value =>
      networks.some(network => network === value || (by.networkIds.get(network) ?? '').startsWith(value)),
    ) &&
    filters.some('expose', value => hasPort(exposed, value)) &&
    filters.some('publish', value =>
      hasPort(
        openPorts(found).map(({ containerPort, protocol }) => ({ number: containerPort, protocol })),
        value,
      ),
    ) &&
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
function withinBounds(wanted: readonly Found[], all: readonly Found[], filters: Filters): Found[] {
  const placeOf = (reference: string) => {
    const at = all.findIndex(({ id, name }) => name === reference.replace(/^\//, '') || id.startsWith(reference))
    if (at < 0) throw noSuchContainer(reference)
    return at
  }
  const before = Math.max(-1, ...filters.values('before').map(placeOf))
  const since = Math.min(all.length, ...filters.values('since').map(placeOf))
  return wanted.filter(found => {
    const at = all.indexOf(found)
    return at > before && at < since
  })
}

export function listItemJson(
  found: Found,
  context: {
    version: ApiVersion
    health: Health | undefined
    networkIds: ReadonlyMap<string, string>
    imageName: string
    sizes: { rw: number; rootFs: number } | undefined
  },
): object {
  const { id, name, record, core, state } = found
  return {
    Id: id,
    Names: [`/${name}`],
    Image: context.imageName,
    ImageID: record.imageId,
    ...(atLeast(context.version, '1.48') &&
      record.manifestDigest && {
        ImageManifestDescriptor: {
          mediaType: 'application/vnd.oci.image.manifest.v1+json',
          digest: record.manifestDigest,
          size: 0,
        },
      }),
    Command: commandText([record.path, ...record.args]),
    Created: Number(core.createdAt?.seconds ?? 0),
    Ports: portListJson(found),
    ...(context.sizes && { SizeRw: context.sizes.rw, SizeRootFs: context.sizes.rootFs }),
    Labels: record.config.Labels ?? {},
    State: state.name,
    Status: statusText(state, context.health?.Status),
    HostConfig: {
      NetworkMode: record.hostConfig.NetworkMode,
      ...(record.hostConfig.Annotations && { Annotations: record.hostConfig.Annotations }),
    },
    NetworkSettings: { Networks: networksJson(found, context) },
    Mounts: record.mounts.filter(isShown).map(mountJson),
  }
}

/** Words with blanks are quoted, as Docker shows a command. */
function commandText(words: readonly string[]): string {
  return words
    .map(word => (/[\s']/.test(word) ? `'${word.replaceAll("'", "\\'")}'` : word))
    .join(' ')
    .trim()
}
