/** Every way to ask for a mount (-v, --mount, --tmpfs, --volumes-from, the image's volumes), made into mount points. */
import { mkdir, stat } from 'node:fs/promises'
import { join, normalize } from 'node:path'
import type { EngineImages } from '../../engine/images.ts'
import type { EngineVolumes, VolumeWish } from '../../engine/volumes.ts'
import { badRequest, HttpError } from '../../http/http-error.ts'
import type { MountPoint } from '../record.ts'
import { parseBind, propagations, trimSlash } from './bind-text.ts'
import type { Config, HostConfig, MountWish } from './body.ts'

export interface MountParts {
  images: Pick<EngineImages, 'resolve'>
  volumes: EngineVolumes
  /** Mount points of another container. Docker's 404. */
  mountsOf(reference: string): Promise<readonly MountPoint[]>
  /** The engine's durable directory, below which volumes are mounted. */
  root: string
  /** Of the container with --rm: its volumes go with it. */
  goesWith: string | undefined
}

/** Makes volumes and the missing sources of -v. Later kinds do not cover earlier ones; 400: two at one place. */
export async function resolveMounts(parts: MountParts, config: Config, host: HostConfig): Promise<MountPoint[]> {
  const points = new Map<string, MountPoint>()
  const add = (point: MountPoint) => {
    if (points.has(point.Destination)) throw badRequest(`Duplicate mount point: ${point.Destination}`)
    points.set(point.Destination, point)
  }
  for (const text of host.VolumesFrom ?? [])
    for (const point of await inherited(parts, text)) points.set(point.Destination, point)
  const own = new Map<string, MountPoint>()
  for (const text of host.Binds ?? []) {
    const point = await fromBind(parts, text, host.VolumeDriver)
    if (own.has(point.Destination)) throw badRequest(`Duplicate mount point: ${point.Destination}`)
    own.set(point.Destination, point)
    points.delete(point.Destination)
    add(point)
  }
  for (const wish of host.Mounts ?? []) {
    const point = await fromMount(parts, wish, host.VolumeDriver)
    if (own.has(point.Destination)) throw badRequest(`Duplicate mount point: ${point.Destination}`)
    own.set(point.Destination, point)
    points.delete(point.Destination)
    add(point)
  }
  for (const [path, options] of Object.entries(host.Tmpfs ?? {})) {
    points.delete(trimSlash(normalize(path)))
    add(fromTmpfs(path, options))
  }
  for (const path of Object.keys(config.Volumes ?? {})) {
    const point = path.includes(':') ? parseBind(path).destination : trimSlash(normalize(path))
    if (!points.has(point))
      add(await fromVolume(parts, { name: '', driver: host.VolumeDriver }, { destination: point }))
  }
  return [...points.values()]
}

async function inherited(parts: MountParts, text: string): Promise<MountPoint[]> {
  const [, reference = '', mode = 'rw'] = /^([^:]+)(?::(ro|rw|z|Z))?$/.exec(text) ?? []
  if (reference === '') throw badRequest(`invalid volumes-from specification: ${text}`)
  const inheritable = await parts.mountsOf(reference).catch(error => {
    // Not the container that was asked for: 400, as in Docker.
    throw error instanceof HttpError ? badRequest(error.message, { cause: error }) : error
  })
  return inheritable
    .filter(point => point.Type !== 'tmpfs')
    .map(({ anonymous: _, at: __, ...point }) => {
      const writable = point.RW && mode !== 'ro'
      return { ...point, RW: writable, options: writable ? point.options : withReadOnly(point.options) }
    })
}

/** Of all that is mounted below, too: Docker's since 25. */
const readOnlyTree = 'rro'

const withReadOnly = (options: readonly string[]) => [...options.filter(option => option !== 'rw'), readOnlyTree]

async function fromBind(parts: MountParts, text: string, driver: string): Promise<MountPoint> {
  const bind = parseBind(text)
  const { source, destination, mode, readOnly, propagation, noCopy } = bind
  if (!source.startsWith('/'))
    return fromVolume(parts, { name: source, driver }, { destination, mode: mode || 'z', readOnly, noCopy })
  // -v makes the directory, for better or worse; --mount does not.
  await mkdir(source, { recursive: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST' && error.code !== 'ENOTDIR')
      throw badRequest(`error while creating mount source path '${source}': ${error.message}`)
  })
  const chosen = propagation || usualPropagation(parts, source)
  return {
    Type: 'bind',
    Source: source,
    Destination: destination,
    Mode: mode,
    RW: !readOnly,
    Propagation: chosen,
    options: ['rbind', chosen, readOnly ? readOnlyTree : 'rw'],
  }
}

interface VolumeUse {
  destination: string
  mode?: string
  readOnly?: boolean
  noCopy?: boolean
  subpath?: string
}

async function fromVolume(parts: MountParts, wish: VolumeWish, use: VolumeUse): Promise<MountPoint> {
  const { destination, mode = '', readOnly = false, noCopy = false, subpath = '' } = use
  const { driver, ...rest } = wish
  const { goesWith } = parts
  const volume = await parts.volumes.ensure({ ...rest, ...(driver && { driver }), ...(goesWith && { goesWith }) })
  return {
    Type: 'volume',
    Name: volume.name,
    Source: volume.mountpoint,
    Destination: destination,
    Driver: volume.driver,
    Mode: mode,
    RW: !readOnly,
    Propagation: '',
    ...(wish.name === '' && { anonymous: true }),
    ...(noCopy && { noCopy }),
    ...(subpath !== '' && { subpath }),
    ...(volume.needsMount && { needsMount: true }),
    options: ['rbind', 'rprivate', readOnly ? readOnlyTree : 'rw'],
  }
}

async function fromMount(parts: MountParts, wish: MountWish, driver: string): Promise<MountPoint> {
  const refuse = (reason: string) => badRequest(`invalid mount config for type "${wish.Type}": ${reason}`)
  if (wish.Target === '') throw refuse('field Target must not be empty')
  if (!wish.Target.startsWith('/')) throw refuse(`invalid mount path: '${wish.Target}' mount path must be absolute`)
  const destination = trimSlash(normalize(wish.Target))
  if (destination === '/') throw refuse("destination can't be '/'")
  if (wish.Type === 'bind') return bindMount(parts, wish, destination, refuse)
  if (wish.Type === 'volume') {
    const { NoCopy = false, Labels, DriverConfig, Subpath = '' } = wish.VolumeOptions ?? {}
    if (!isWithin(Subpath)) throw refuse('subpath must be a relative path within the volume')
    const volume = {
      name: wish.Source,
      driver: DriverConfig?.Name || driver,
      ...(DriverConfig?.Options && { options: DriverConfig.Options }),
      ...(Labels && { labels: Labels }),
    }
    return fromVolume(parts, volume, {
      destination,
      mode: 'z',
      readOnly: wish.ReadOnly,
      noCopy: NoCopy,
      subpath: Subpath,
    })
  }
  if (wish.Type === 'tmpfs') return tmpfsMount(wish, destination, refuse)
  if (wish.Type === 'image') return imageMount(parts, wish, destination, refuse)
  throw refuse('mount type unknown')
}

/** Read only, and held while the container runs. 404 for an image that is not here. */
async function imageMount(parts: MountParts, wish: MountWish, destination: string, refuse: (reason: string) => Error) {
  const { Source, ImageOptions } = wish
  const { Subpath: subpath = '' } = ImageOptions ?? {}
  if (Source === '') throw refuse('field Source must not be empty')
  if (!isWithin(subpath)) throw refuse('subpath must be a relative path within the image')
  await parts.images.resolve(Source)
  const point: MountPoint = {
    ...{ Type: 'image', Name: Source, Source: '', Destination: destination, Mode: '', RW: false, Propagation: '' },
    ...(subpath !== '' && { subpath }),
    options: ['rbind', 'rprivate', readOnlyTree],
  }
  return point
}

const isWithin = (subpath: string): boolean => !subpath.startsWith('/') && !subpath.split('/').includes('..')

/** What we mount must not be held by a container that has been given all around it: unmounts are to reach it. */
function usualPropagation({ root }: MountParts, source: string): string {
  return `${root}/`.startsWith(`${trimSlash(normalize(source))}/`.replace('//', '/')) ? 'rslave' : 'rprivate'
}

async function bindMount(
  parts: MountParts,
  wish: MountWish,
  destination: string,
  refuse: (reason: string) => Error,
): Promise<MountPoint> {
  const { Source, ReadOnly, BindOptions } = wish
  if (Source === '') throw refuse('field Source must not be empty')
  if (!Source.startsWith('/')) throw refuse(`invalid mount path: '${Source}' mount path must be absolute`)
  if (BindOptions?.CreateMountpoint) await mkdir(Source, { recursive: true }).catch(() => {})
  await stat(Source).catch(() => {
    throw refuse(`bind source path does not exist: ${Source}`)
  })
  const propagation = BindOptions?.Propagation || usualPropagation(parts, Source)
  checkReadOnly(wish, BindOptions?.Propagation || 'rprivate', refuse)
  const bind = BindOptions?.NonRecursive ? 'bind' : 'rbind'
  return {
    Type: 'bind',
    Source: normalize(Source),
    Destination: destination,
    Mode: '',
    RW: !ReadOnly,
    Propagation: propagation,
    options: [bind, propagation, ReadOnly ? (BindOptions?.ReadOnlyNonRecursive ? 'ro' : readOnlyTree) : 'rw'],
  }
}

function checkReadOnly({ ReadOnly, BindOptions }: MountWish, propagation: string, refuse: (reason: string) => Error) {
  const { ReadOnlyNonRecursive: flat, ReadOnlyForceRecursive: deep, NonRecursive: alone } = BindOptions ?? {}
  if (flat && deep) throw refuse('ReadOnlyNonRecursive and ReadOnlyForceRecursive exclude each other')
  if ((flat || deep) && !ReadOnly)
    throw refuse('mount must be read-only for it to be recursively, or not recursively, so')
  if (!propagations.includes(propagation)) throw refuse(`invalid propagation mode: ${propagation}`)
  // What is mounted later, and comes in by propagation, would be writable.
  if (deep && !['', 'private', 'rprivate'].includes(propagation))
    throw refuse('ReadOnlyForceRecursive needs the propagation rprivate')
  if (deep && alone) throw refuse('ReadOnlyForceRecursive and NonRecursive exclude each other')
}

function tmpfsMount(wish: MountWish, destination: string, refuse: (reason: string) => Error): MountPoint {
  if (wish.Source !== '') throw refuse('field Source must not be specified')
  const { SizeBytes = 0, Mode = 0, Options } = wish.TmpfsOptions ?? {}
  const options = [
    ...(wish.ReadOnly ? ['ro'] : []),
    ...(SizeBytes > 0 ? [`size=${SizeBytes}`] : []),
    ...(Mode > 0 ? [`mode=${Mode.toString(8)}`] : []),
    ...(Options ?? []).map(words => words.join('=')),
  ]
  return tmpfsPoint(destination, '', options, !wish.ReadOnly)
}

function fromTmpfs(path: string, text: string): MountPoint {
  if (!path.startsWith('/')) throw badRequest(`invalid mount path: '${path}' mount path must be absolute`)
  const options = text.split(',').filter(option => option !== '')
  return tmpfsPoint(trimSlash(normalize(path)), text, options, !options.includes('ro'))
}

function tmpfsPoint(destination: string, mode: string, options: string[], writable: boolean): MountPoint {
  return { Type: 'tmpfs', Source: '', Destination: destination, Mode: mode, RW: writable, Propagation: '', options }
}

/** What a container's mount names on the host. What a plugin has not mounted is a path that says so, and is nowhere. */
export function sourceOf({ Name = '', Source, subpath = '', at }: MountPoint): string {
  return at ?? join(Source || `/volume ${Name} is not mounted`, subpath)
}
