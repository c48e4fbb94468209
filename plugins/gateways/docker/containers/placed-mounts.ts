/**
 * What the engine itself mounts for a container, before the core starts it: images, and folders inside a volume. Where a path
 * inside of either leads is for others to change, so it is opened within its root (openat2(2), RESOLVE_IN_ROOT) and bound by its
 * descriptor to a place of the container's own; that place is what the container's mount names, and nobody else can move it.
 *
 * A place is `<state>/placed/<container>/<name>`. An image's is a view of its snapshot, held by a lease that names the container.
 */
import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { mkdir, open, readdir, rmdir, stat, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { isGantryError } from '#api/errors/errors.ts'
import { isSysError, mount, unmount } from '#api/sys/sys.ts'
import { openEntry } from '../archive/root-files.ts'
import type { Engine } from '../engine/engine.ts'
import { badRequest } from '../http/http-error.ts'
import type { DockerRecord, MountPoint } from './record.ts'
import type { Found } from './store.ts'

type PlacesEngine = Pick<Engine, 'core' | 'images' | 'settings' | 'log'>

/** Says for which container a lease holds views of images. */
const leaseLabel = 'gantry.docker/image-mounts-of'

/** Mount points that are placed know where, from the container's creation on. */
export function withPlaces(state: string, id: string, points: readonly MountPoint[]): MountPoint[] {
  return points.map(point =>
    point.Type === 'image' || point.subpath ? { ...point, at: join(state, 'placed', id, nameOf(point)) } : point,
  )
}

/** One per target: others may come and go while the container runs. */
function nameOf({ Destination }: MountPoint): string {
  return createHash('sha256').update(Destination).digest('hex').slice(0, 16)
}

export class PlacedMounts {
  readonly #engine: PlacesEngine

  constructor(engine: PlacesEngine) {
    this.#engine = engine
  }

  get #folder(): string {
    return join(this.#engine.settings.state, 'placed')
  }

  /** All of a container's; those of volumes when the volumes are mounted. Idempotent. 404: no such image; 400: no such folder. */
  async place(found: Found): Promise<void> {
    for (const point of found.record.mounts) {
      if (point.at === undefined) continue
      if (point.Type === 'image') await this.#placeImage(found, point, point.at)
      else await bindWithin(point.Source, point.subpath ?? '', point.at, point.Destination)
    }
  }

  async #placeImage(found: Found, point: MountPoint, at: string): Promise<void> {
    await mkdir(at, { recursive: true, mode: 0o700 })
    const mounts = await this.#view(found, point)
    if (!point.subpath) {
      await unmount(at)
      return mount([...mounts], at)
    }
    const whole = `${at}.image`
    await mkdir(whole, { mode: 0o700, recursive: true })
    await unmount(whole)
    await mount([...mounts], whole)
    try {
      await bindWithin(whole, point.subpath, at, point.Destination)
    } finally {
      // What is bound from it stays.
      await removePlace(whole)
    }
  }

  async #view(found: Found, { Name = '', at = '' }: MountPoint) {
    const { core, images } = this.#engine
    const snapshotter = found.core.config?.snapshotter ?? ''
    const key = viewKey(found.id, at)
    const lease = leaseOf(found.id)
    await core.leases.create({ id: lease, labels: { [leaseLabel]: found.id } }).catch(ifThere)
    const known = await core.snapshots.mounts({ snapshotter, key }).catch(ifMissing)
    if (known) await core.snapshots.remove({ snapshotter, key })
    const image = await images.resolve(Name)
    const view = () => core.snapshots.view({ snapshotter, key, parent: image.chainId }, { lease })
    const made = await view().catch(async error => {
      if (!isGantryError(error, 'NOT_FOUND')) throw error
      await this.#unpack(image.recordName, snapshotter)
      return view()
    })
    return made.mounts
  }

  /** The core unpacks what a container is made of: one is recorded for the moment. */
  async #unpack(image: string, snapshotter: string): Promise<void> {
    const { containers, records } = this.#engine.core
    const { id } = await containers.create({ config: { image, snapshotter, networks: [{ network: 'none' }] } })
    await records.delete({ id })
  }

  /** Whatever is placed for a container. Idempotent; nothing is asked of the core for one that has nothing. */
  async release({ id, record }: { id: string; record: Pick<DockerRecord, 'mounts'> }): Promise<void> {
    const places = record.mounts.flatMap(({ at }) => (at === undefined ? [] : [at]))
    for (const at of places) await removePlace(at)
    if (record.mounts.some(({ Type }) => Type === 'image')) await this.#forget(id)
    if (places.length > 0) await rmdir(join(this.#folder, id)).catch(() => {})
  }

  /** The views go with the lease that holds them. */
  async #forget(id: string): Promise<void> {
    await this.#engine.core.leases.delete({ id: leaseOf(id) }).catch(ifMissing)
  }

  /** What containers have left that are gone, or whose machine has gone down meanwhile. */
  async sweep(isThere: (id: string) => boolean): Promise<void> {
    for (const id of await readdir(this.#folder).catch(() => [])) {
      if (isThere(id)) continue
      for (const name of await readdir(join(this.#folder, id))) await removePlace(join(this.#folder, id, name))
      await rmdir(join(this.#folder, id))
    }
    const { leases } = await this.#engine.core.leases.list({ filters: [`labels."${leaseLabel}"`] })
    for (const { labels } of leases)
      if (!isThere(labels[leaseLabel] ?? '')) await this.#forget(labels[leaseLabel] ?? '')
  }
}

/** Never what lies in it: a place that is still mounted stays. */
async function removePlace(at: string): Promise<void> {
  await unmount(at, { detach: true })
  await rmdir(at).catch(error => {
    if (error.code === 'ENOTDIR') return unlink(at)
    if (error.code !== 'ENOENT') throw error
  })
}

const leaseOf = (id: string): string => `docker-image-mounts-${id}`
const viewKey = (id: string, at: string): string => `docker-image-${id}-${at.replace(/^.*\//, '')}`

/** Files can be bound as well as folders. */
async function bindWithin(root: string, subpath: string, at: string, destination: string): Promise<void> {
  using source = await openEntry(root, subpath).catch(cause => {
    if (isSysError(cause, 'ENOENT') || isSysError(cause, 'ENOTDIR'))
      throw badRequest(
        `cannot access path ${join(root, subpath)}, mounted at ${destination}: no such file or directory`,
        {
          cause,
        },
      )
    throw cause
  })
  await removePlace(at)
  if ((await stat(source.path)).isDirectory()) await mkdir(at, { recursive: true, mode: 0o700 })
  else {
    await mkdir(join(at, '..'), { recursive: true, mode: 0o700 })
    await (await open(at, constants.O_CREAT | constants.O_RDONLY, 0o600)).close()
  }
  await mount([{ type: 'bind', source: source.path, target: '', options: ['rbind'] }], at)
}

function ifMissing(error: unknown): undefined {
  if (!isGantryError(error, 'NOT_FOUND')) throw error
}

function ifThere(error: unknown): undefined {
  if (!isGantryError(error, 'ALREADY_EXISTS')) throw error
}
