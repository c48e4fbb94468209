/** What a prefix of a mount's type does to the mount before it is performed. */
import { chmodSync, chownSync, existsSync, mkdirSync, realpathSync, statSync } from 'node:fs'
import { dirname, sep } from 'node:path'
import { invalidArgument, notImplemented } from '#api/errors/errors.ts'
import type { Mount } from '#api/types/mount.ts'
import type { ActiveMountRecord } from '#core/metadata/metadata.ts'

export interface TransformContext {
  readonly active: readonly ActiveMountRecord[]
  /** Folders `mkdir/` may work in. */
  readonly roots: readonly string[]
}

type Transform = (mount: Mount, context: TransformContext) => Mount

const transforms: Readonly<Record<string, Transform>> = { format, mkdir }

/** The prefixes of a mount's type, in order. UNIMPLEMENTED for one nobody here handles. */
export function prefixesOf({ type }: Mount): string[] {
  const prefixes = type.split('/').slice(0, -1)
  for (const prefix of prefixes)
    if (!Object.hasOwn(transforms, prefix))
      throw notImplemented(`mount type "${type}": this daemon has no handler for "${prefix}/"`)
  return prefixes
}

/** The mount with all prefixes applied and taken off. INVALID_ARGUMENT. */
export function transform(mount: Mount, context: TransformContext): Mount {
  return prefixesOf(mount).reduce<Mount>((current, prefix) => (transforms[prefix] as Transform)(current, context), {
    ...mount,
    type: mount.type.split('/').at(-1) ?? '',
  })
}

function format(mount: Mount, context: TransformContext): Mount {
  const fill = (text: string) => text.replace(/\{\{(.*?)\}\}/g, (_, call: string) => evaluate(call.trim(), context))
  return { ...mount, source: fill(mount.source), target: fill(mount.target), options: mount.options.map(fill) }
}

function evaluate(call: string, { active }: TransformContext): string {
  const [name = '', ...numbers] = call.split(/\s+/)
  const [first = -1, last = first] = numbers.map(Number)
  const from = active[first]
  const known = name === 'overlay' ? numbers.length === 2 : numbers.length === 1
  if (!known || !['source', 'target', 'mount', 'overlay'].includes(name))
    throw invalidArgument(`template "{{ ${call} }}" is none of source N, target N, mount N, overlay N M`)
  if (from === undefined || active[last] === undefined)
    throw invalidArgument(`template "{{ ${call} }}": index out of bounds, has ${active.length} active mounts`)
  if (name === 'source' || name === 'target') return from.mount[name]
  if (name === 'mount') return from.mountPoint
  const range = active.slice(Math.min(first, last), Math.max(first, last) + 1).map(({ mountPoint }) => mountPoint)
  return (first > last ? range.reverse() : range).join(':')
}

const mkdirOption = 'X-containerd.mkdir.'

function mkdir(mount: Mount, { roots }: TransformContext): Mount {
  for (const option of mount.options) if (option.startsWith(mkdirOption)) makeFolder(option, roots)
  return { ...mount, options: mount.options.filter(option => !option.startsWith(mkdirOption)) }
}

/** `X-containerd.mkdir.path=/dir[:mode[:uid:gid]]`; a folder that is there stays as it is. */
function makeFolder(option: string, roots: readonly string[]): void {
  const [, path = '', mode, uid, gid] =
    /^path=(\/[^:]*)(?::([0-7]{1,4})(?::(\d+):(\d+))?)?$/.exec(option.slice(mkdirOption.length)) ?? []
  if (path === '') throw invalidArgument(`invalid mkdir option "${option}"`)
  requireWithin(path, roots)
  if (existsSync(path)) {
    if (!statSync(path).isDirectory()) throw invalidArgument(`mkdir option "${option}": ${path} is no folder`)
    return
  }
  mkdirSync(path, { mode: 0o700 })
  if (uid !== undefined && gid !== undefined) chownSync(path, Number(uid), Number(gid))
  if (mode !== undefined) chmodSync(path, Number.parseInt(mode, 8))
}

/** By where its parent really is: links do not lead out. */
function requireWithin(path: string, roots: readonly string[]): void {
  const parent = dirname(path)
  if (path.split(sep).includes('..') || !existsSync(parent))
    throw invalidArgument(`mkdir of ${path}: ${parent} must be there, and the path without ".."`)
  const real = realpathSync(parent) + sep
  if (!roots.some(root => real.startsWith(realpathSync(root) + sep)))
    throw notImplemented(`mkdir of ${path}: it is not below ${roots.join(' or ')}`)
}
