/** `RUN --mount=type=…`: what a step sees beside its root, and its layer does not hold. */
import { invalidArgument } from '#api/errors/errors.ts'
import { parseSize } from '#api/log-drivers/option-values.ts'
import { similar } from './flags.ts'

export type MountType = 'bind' | 'cache' | 'tmpfs' | 'secret' | 'ssh'

export interface RunMount {
  readonly type: MountType
  /** Where it appears; empty where the type has a default. */
  readonly target: string
  /** Stage, image; empty: the build context. */
  readonly from: string
  /** Path in `from`; empty: its root. */
  readonly source: string
  /** Cache, secret or agent. */
  readonly id: string
  readonly readOnly: boolean
  readonly sharing: 'shared' | 'private' | 'locked'
  readonly required: boolean
  /** Environment variable that gets a secret's value. */
  readonly env: string
  /** Of the file or the cache's folder. */
  readonly mode: number | undefined
  readonly uid: number
  readonly gid: number
  /** tmpfs only: bytes; undefined: no limit. */
  readonly sizeBytes: number | undefined
}

const keysOf: Readonly<Record<MountType, readonly string[]>> = {
  bind: ['target', 'from', 'source', 'rw'],
  cache: ['target', 'from', 'source', 'id', 'ro', 'sharing', 'mode', 'uid', 'gid'],
  tmpfs: ['target', 'size'],
  secret: ['target', 'id', 'required', 'env', 'mode', 'uid', 'gid'],
  ssh: ['target', 'id', 'required', 'mode', 'uid', 'gid'],
}
/** Other spellings of a key. */
const aliases: Readonly<Record<string, string>> = {
  ...{ dst: 'target', destination: 'target', src: 'source', readonly: 'ro', readwrite: 'rw' },
}

/** Reads one, its variables replaced. INVALID_ARGUMENT names the key that is wrong. */
export function readMount(text: string): RunMount {
  const pairs = new Map(
    text.split(',').map(part => {
      const [, key = '', value] = /^([^=]*)(?:=([\s\S]*))?$/.exec(part.trim()) ?? []
      return [aliases[key.toLowerCase()] ?? key.toLowerCase(), value ?? 'true'] as const
    }),
  )
  const type = pairs.get('type') ?? 'bind'
  if (!isMountType(type)) throw invalidArgument(`unsupported mount type "${type}"${similar(type, Object.keys(keysOf))}`)
  const stranger = [...pairs.keys()].find(key => key !== 'type' && ![...keysOf[type], 'ro', 'rw'].includes(key))
  if (stranger !== undefined)
    throw invalidArgument(`unexpected key '${stranger}' in '${text}'${similar(stranger, keysOf[type])}`)
  const target = pairs.get('target') ?? ''
  if (target === '' && (type === 'bind' || type === 'cache' || type === 'tmpfs'))
    throw invalidArgument(`invalid mount "${text}": target is required`)
  if (type === 'secret' && target === '' && !pairs.has('id'))
    throw invalidArgument(`invalid mount "${text}": a secret needs an id or a target`)
  const size = pairs.get('size')
  return {
    ...{ type, target, from: pairs.get('from') ?? '', source: pairs.get('source') ?? '' },
    id: pairs.get('id') ?? defaultID(type, target),
    readOnly: flag(pairs, 'ro') ?? !(flag(pairs, 'rw') ?? type !== 'bind'),
    sharing: sharingOf(pairs.get('sharing')),
    required: flag(pairs, 'required') ?? false,
    env: pairs.get('env') ?? '',
    mode: number(pairs, 'mode', 8),
    ...{ uid: number(pairs, 'uid', 10) ?? 0, gid: number(pairs, 'gid', 10) ?? 0 },
    sizeBytes: size === undefined ? undefined : parseSize(size),
  }
}

function defaultID(type: MountType, target: string): string {
  if (type === 'cache') return target
  if (type === 'ssh') return 'default'
  return target.split('/').at(-1) ?? ''
}

function isMountType(type: string): type is MountType {
  return Object.hasOwn(keysOf, type)
}

function flag(pairs: ReadonlyMap<string, string>, key: string): boolean | undefined {
  const value = pairs.get(key)
  if (value === undefined) return undefined
  if (value === 'true' || value === '1') return true
  if (value === 'false' || value === '0') return false
  throw invalidArgument(`invalid value for ${key}: ${value}`)
}

function number(pairs: ReadonlyMap<string, string>, key: string, radix: number): number | undefined {
  const value = pairs.get(key)
  if (value === undefined) return undefined
  const parsed = Number.parseInt(value, radix)
  if (!/^\d+$/.test(value) || Number.isNaN(parsed)) throw invalidArgument(`invalid value for ${key}: ${value}`)
  return parsed
}

function sharingOf(value = 'shared'): RunMount['sharing'] {
  if (value === 'shared' || value === 'private' || value === 'locked') return value
  throw invalidArgument(`unsupported sharing value "${value}": it is shared, private or locked`)
}
