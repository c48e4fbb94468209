/** An answer without what is each engine's own: ids, times, addresses, sizes, folders. */
import type { Engine } from './engine.ts'
import type { Answer } from './engine-call.ts'
import { ourRewordings, reworded, rewordings } from './newer-words.ts'

export interface Plain {
  status: number
  /** Text of the body, or its parts; undefined: it has not ended, and nothing is said of it. */
  body: unknown
}

/** Members whose value is the engine's own: whether there is one is compared, not which. */
const ownValues = new Set([
  ...[
    'Pid',
    'Created',
    'CreatedAt',
    'SizeRw',
    'SizeRootFs',
    'Size',
    'VirtualSize',
    'SharedSize',
    'SpaceReclaimed',
    'RestartCount',
  ],
  ...[
    'IPAddress',
    'IPPrefixLen',
    'Gateway',
    'MacAddress',
    'SandboxKey',
    'SandboxID',
    'EndpointID',
    'IPv4Address',
    'Subnet',
    'HostPort',
    'PublicPort',
  ],
  ...['HostsPath', 'HostnamePath', 'ResolvConfPath', 'Mountpoint', 'LastTagTime', 'Status', 'ServerVersion'],
])

/** Members that tell how an engine stores things, or that 20.10 alone has or lacks. */
const ownMembers = new Set([
  ...['GraphDriver', 'RootFS', 'DockerVersion', 'Parent', 'SandboxID', 'SandboxKey', 'SpaceReclaimed'],
  // The default bridge of ours has IPv6.
  // 20.10 has one as soon as somebody asks for the log.
  'LogPath',
  ...['GlobalIPv6Address', 'GlobalIPv6PrefixLen', 'IPv6Gateway', 'IPv6Address'],
])

/** Of the networks that each engine makes for itself. */
const ownOfDefaultNetworks = new Set(['IPAM', 'Options', 'EnableIPv6'])
const defaultNetworks: ReadonlySet<unknown> = new Set(['bridge', 'host', 'none'])

/** Of newer engines than 20.10: what is masked, and labels of volumes without a name. */
const newerValues = new Set(['/proc/interrupts', '/sys/devices/virtual/powercap'])
const newerLabel = 'com.docker.volume.anonymous'

export function normalise(engine: Engine, { status, body, headers, ended }: Answer): Plain {
  if (!ended) return { status, body: undefined }
  const type = String(headers['content-type'] ?? '')
  const text = body.toString('utf8')
  if (type.startsWith('application/json')) return readError(engine, { status, body: jsonLines(engine, text) })
  if (status === 200 && (type.includes('tar') || type.includes('octet'))) return { status, body: `${type}` }
  return { status, body: status === 200 && body.includes(0) ? framesOf(body) : inOwnWords(engine, text) }
}

/** The message of an error, in the words of the newest engines. */
function readError({ name }: Engine, { status, body }: Plain): Plain {
  const message = typeof body === 'object' && body !== null && 'message' in body ? body.message : undefined
  if (status < 400 || typeof message !== 'string') return { status, body }
  const told = reworded({ status, message }, name === 'dockerd' ? rewordings : ourRewordings)
  return { status: told.status, body: { message: told.message } }
}

function jsonLines(engine: Engine, text: string): unknown {
  const names = new Map([...engine.ids].map(([name, id]) => [id, name]))
  try {
    const values = text
      .split('\n')
      .filter(line => line.trim() !== '')
      .map(line => JSON.parse(line))
      .map(value => plain(value, { engine, names, isSample: value?.cpu_stats !== undefined }))
    return values.length === 1 ? values[0] : values
  } catch {
    return inOwnWords(engine, text)
  }
}

/** A value that an engine answered, or a command printed. */
export function normaliseJson(engine: Engine, value: unknown): unknown {
  const names = new Map([...engine.ids].map(([name, id]) => [id, name]))
  return plain(value, { engine, names, isSample: false })
}

interface Context {
  engine: Engine
  names: ReadonlyMap<string, string>
  /** Of `stats`: all numbers are measured. */
  isSample: boolean
}

function plain(value: unknown, context: Context, member = ''): unknown {
  // What a prune removed is told in no order.
  if (Array.isArray(value) && member.endsWith('Deleted')) return value.map(item => plain(item, context)).sort()
  if (Array.isArray(value))
    return inOrder(value.filter(item => !newerValues.has(item)).map(item => plain(item, context, member)))
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(
      Object.entries(value)
        .filter(([name, item]) => !isOwn(name, item, value))
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, item]) => [
          inOwnWords(context.engine, name),
          ownValues.has(name) ? own(item) : plain(item, context, name),
        ]),
    )
  if (typeof value === 'number' && context.isSample) return '<measured>'
  if (typeof value !== 'string') return value
  if (member === 'Error' || member === 'Message')
    return reworded({ status: 0, message: inOwnWords(context.engine, value) }, rewordings).message
  // Of `top`.
  return member === 'Processes' && /^\d+$/.test(value) ? '<own>' : inOwnWords(context.engine, value)
}

function isOwn(name: string, item: unknown, within: object): boolean {
  if (ownMembers.has(name) || name === newerLabel || isEmpty(item)) return true
  // 20.10 shows the gateway that the creator named.
  if (name === 'Gateway' && 'Subnet' in within) return true
  if (name === 'Runtime' && item === 'runc') return true
  // Of the volume of a container that never ran 20.10 tells now and then.
  if (name === 'Source' && 'Type' in within && within.Type === 'volume') return true
  if (name === 'Driver' && (item === 'overlay2' || item === 'overlayfs')) return true
  // Newer engines write down what an empty name means.
  if (name === 'Name' && item === 'no' && 'MaximumRetryCount' in within) return true
  return ownOfDefaultNetworks.has(name) && 'Scope' in within && 'Name' in within && defaultNetworks.has(within.Name)
}

/** Nothing, whichever way it is written: clients read them all alike. */
function isEmpty(item: unknown): boolean {
  if (item === null || item === undefined || item === '') return true
  return typeof item === 'object' && Object.keys(item).every(name => name === newerLabel)
}

/** Of a list of objects the order is not told by Docker, but for a list of things that are made one after the other. */
function inOrder(items: unknown[]): unknown[] {
  return items.every(item => typeof item === 'object' && item !== null && !Array.isArray(item))
    ? items
        .map(item => [JSON.stringify(item), item] as const)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([, item]) => item)
    : items
}

function own(value: unknown): unknown {
  if (typeof value === 'object') return value
  return value === '' || value === 0 || value === -1 ? value : '<own>'
}

/** Ids, times and folders in a text. */
export function inOwnWords(engine: Engine, text: string): string {
  let plainText = text
  for (const [name, id] of engine.ids)
    plainText = plainText.replaceAll(id, `<id of ${name}>`).replaceAll(id.slice(0, 12), `<id of ${name}>`)
  return (
    plainText
      .replace(/\b[0-9a-f]{64}\b/g, '<id>')
      .replace(/\b[0-9a-f]{12}\b/g, '<short id>')
      .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)/g, time =>
        time.startsWith('0001') ? time : '<time>',
      )
      .replace(/\/tmp\/(dk|gt)-[^\s"':]*/g, '<folder>')
      // Who uses a volume is told in no order.
      .replace(/in use - \[([^\]]*)\]/g, (_, users: string) => `in use - [${users.split(', ').sort().join(', ')}]`)
      .trim()
  )
}

/** What each stream said, whoever was first. */
function framesOf(body: Buffer): Record<string, string> {
  const streams: Record<string, string> = {}
  for (let at = 0; at + 8 <= body.length; ) {
    const size = body.readUInt32BE(at + 4)
    const stream = String(body[at])
    streams[stream] = (streams[stream] ?? '') + body.subarray(at + 8, at + 8 + size).toString()
    at += 8 + size
  }
  return streams
}
