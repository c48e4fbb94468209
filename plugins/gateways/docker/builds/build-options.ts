/** Query parameters of `POST /build` as the builder's options. */
import type { BuildOptions } from '#api/gen/gantry/services/builder/v1/builder.ts'
import { timestampOf } from '#api/types/clock.ts'
import { parseTimestamp } from '../events/timestamps.ts'
import { Filters } from '../http/filters.ts'
import { badRequest, notImplemented } from '../http/http-error.ts'
import type { Query } from '../http/query.ts'

export type WantedBuild = Pick<
  BuildOptions,
  | 'dockerfile'
  | 'target'
  | 'args'
  | 'labels'
  | 'platform'
  | 'noCache'
  | 'pull'
  | 'network'
  | 'extraHosts'
  | 'sequential'
  | 'remote'
  | 'cacheFrom'
>

/** 400 for a member that cannot be read, 501 for what is asked for and not there. */
export function buildOptions(query: Query): WantedBuild {
  refuseUnready(query)
  return {
    remote: query.text('remote'),
    dockerfile: query.text('dockerfile'),
    target: query.text('target'),
    args: argumentsOf(query),
    labels: object(query, 'labels'),
    platform: query.text('platform'),
    noCache: query.flag('nocache'),
    cacheFrom: list(query, 'cachefrom').map(ref => ({ type: 'image', attributes: { ref } })),
    pull: query.flag('pull'),
    network: query.text('networkmode'),
    extraHosts: query
      .all('extrahosts')
      .flatMap(text => text.split(','))
      .filter(text => text !== ''),
    // Its output is a list of lines: stages side by side would be shuffled in it.
    sequential: true,
  }
}

/** `POST /build/prune`: what stays. `until`: also `unused-for`, as the docker command's help calls it. */
export function pruneOptions(query: Query) {
  const filters = Filters.read(query, ['until', 'unused-for'])
  const until = [...filters.values('until'), ...filters.values('unused-for')][0]
  const kept = ['reserved-space', 'keep-storage'].map(name => query.integer(name)).find(bytes => bytes !== undefined)
  const unusedSince = until === undefined ? undefined : timestampOf(Number(parseTimestamp(until) / 1_000_000n))
  return { keepBytes: BigInt(kept ?? 0), unusedSince }
}

/** Limits of the steps' processes: 0 and nothing are none. */
const limits = [
  'memory',
  'memswap',
  'cpushares',
  'cpuperiod',
  'cpuquota',
  'cpusetcpus',
  'cpusetmems',
  'shmsize',
  'ulimits',
]

function refuseUnready(query: Query): void {
  if (query.text('version') === '2')
    throw notImplemented('building with BuildKit (version=2): use version=1, DOCKER_BUILDKIT=0')
  if (query.flag('squash')) throw notImplemented('squash=1')
  const limit = limits.find(name => !['', '0', '-1', '[]', 'null'].includes(query.text(name)))
  if (limit !== undefined) throw notImplemented(`${limit}=${query.text(limit)}: steps of a build cannot be limited`)
  if (query.has('outputs') && query.text('outputs') !== '') throw notImplemented('outputs=')
}

/** A null asks for the value the daemon has in its environment; ours has none to give. */
function argumentsOf(query: Query): Record<string, string> {
  return Object.fromEntries(
    Object.entries(object(query, 'buildargs')).filter((entry): entry is [string, string] => entry[1] !== null),
  )
}

function object(query: Query, name: string): Record<string, string> {
  const value = json(query, name, {})
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, string>
  throw badRequest(`error reading ${name}: "${query.text(name)}" is not a JSON object`)
}

function list(query: Query, name: string): string[] {
  const value = json(query, name, []) ?? []
  if (Array.isArray(value) && value.every(one => typeof one === 'string')) return value
  throw badRequest(`error reading ${name}: "${query.text(name)}" is not a JSON list of texts`)
}

function json(query: Query, name: string, absent: unknown): unknown {
  const text = query.text(name)
  if (text === '') return absent
  try {
    return JSON.parse(text)
  } catch {
    throw badRequest(`error reading ${name}: "${text}" is not JSON`)
  }
}
