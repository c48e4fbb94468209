/** Roots mounted for a moment: an image's, read only, to copy from; a container's, to copy from and into. */
import { randomBytes } from 'node:crypto'
import { mkdir, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { isGantryError } from '#api/errors/errors.ts'
import type { Mount } from '#api/gen/containerd/types/mount.ts'
import { mount, unmount } from '#api/sys/sys.ts'
import type { Engine } from '../engine/engine.ts'
import type { Found } from './store.ts'

/** Longer than any copy takes. */
const leaseMs = 3_600_000

type RootsEngine = Pick<Engine, 'core' | 'settings'>

/** A view of the image that a container is made from, taken away afterwards. */
export async function withImageRoot<T>(
  engine: RootsEngine,
  found: Found,
  body: (root: string) => Promise<T>,
): Promise<T> {
  const { core } = engine
  const { snapshotter, parent } = imageSnapshot(found)
  const key = `docker-view-${randomBytes(8).toString('hex')}`
  // Nobody refers to a view: garbage collection would take it.
  const expire = new Date(Date.now() + leaseMs).toISOString()
  await core.leases.create({ id: key, labels: { 'containerd.io/gc.expire': expire } })
  try {
    const { mounts } = await core.snapshots.view({ snapshotter, key, parent }, { lease: key })
    return await withMounted(engine, mounts, body)
  } finally {
    await core.snapshots.remove({ snapshotter, key }).catch(() => {})
    await core.leases.delete({ id: key }).catch(() => {})
  }
}

/** Mounted by nobody else: of a container that does not run. Its snapshot is made when it never ran. */
export async function withContainerRoot<T>(
  engine: RootsEngine,
  found: Found,
  body: (root: string) => Promise<T>,
): Promise<T> {
  const { id } = found
  const { snapshotter, parent } = imageSnapshot(found)
  const mounts = await engine.core.snapshots.mounts({ snapshotter, key: id }).catch(async error => {
    if (!isGantryError(error, 'NOT_FOUND')) throw error
    return engine.core.snapshots.prepare({ snapshotter, key: id, parent })
  })
  return withMounted(engine, mounts.mounts, body)
}

async function withMounted<T>(
  { settings }: RootsEngine,
  mounts: readonly Mount[],
  body: (root: string) => Promise<T>,
): Promise<T> {
  const root = join(settings.state, 'mounts', randomBytes(8).toString('hex'))
  await mkdir(root, { recursive: true, mode: 0o700 })
  try {
    await mount([...mounts], root)
    try {
      return await body(root)
    } finally {
      await unmount(root, { detach: true })
    }
  } finally {
    await rmdir(root)
  }
}

/** The committed snapshot that the container's root builds on; its record keeps it. */
export function imageSnapshot({ core }: Pick<Found, 'core'>): { snapshotter: string; parent: string } {
  const snapshotter = core.config?.snapshotter ?? ''
  return { snapshotter, parent: core.labels[`containerd.io/gc.ref.snapshot.${snapshotter}`] ?? '' }
}
