/** The whole file tree of a container, mounts included, as its processes see it. */
import { randomBytes } from 'node:crypto'
import { mkdir, rmdir } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { isSysError, mount, unmount } from '#api/sys/sys.ts'
import type { MountPoint } from '../containers/record.ts'
import { withContainerRoot } from '../containers/roots.ts'
import { isRunning } from '../containers/state.ts'
import type { Found } from '../containers/store.ts'
import type { Engine } from '../engine/engine.ts'
import { Folder } from './root-files.ts'

/** `body` gets the root's path. A container that runs is looked at through its own process. */
export async function withTree<T>(
  engine: Pick<Engine, 'core' | 'settings' | 'volumes'>,
  found: Found,
  body: (root: string) => Promise<T>,
): Promise<T> {
  if (isRunning(found.state)) return body(`/proc/${found.state.pid}/root`)
  return withContainerRoot(engine, found, async root => {
    await using undo = new AsyncDisposableStack()
    // They go with the root, which is taken away whole.
    for (const point of found.record.mounts)
      if (point.Type === 'volume' || point.Type === 'bind')
        await mountPoint(root, await withData(engine.volumes, point, undo))
    return await body(root)
  })
}

/** A volume whose data are not there yet is mounted for the moment. */
async function withData(
  volumes: Engine['volumes'],
  point: MountPoint,
  undo: AsyncDisposableStack,
): Promise<MountPoint> {
  const { needsMount, Name = '' } = point
  if (!needsMount) return point
  const user = `files-${randomBytes(8).toString('hex')}`
  undo.defer(() => volumes.unmount(Name, user))
  return { ...point, Source: await volumes.mount(Name, user) }
}

/**
 * Sources that are files, and places that are not there, are left out: nobody could have seen them yet. Both ends are opened
 * within their roots: a link in a volume, or in the image, leads nowhere else.
 */
async function mountPoint(root: string, point: MountPoint): Promise<void> {
  using source = await openSource(point)
  if (source === undefined) return
  using parent = await Folder.make(root, dirname(point.Destination))
  await mkdir(parent.at(basename(point.Destination)), { recursive: true }).catch(() => {})
  using target = await Folder.open(root, point.Destination)
  if (point.RW) await mount([{ type: 'bind', source: source.path, options: ['rbind'] }], target.path)
  else await mountReadOnly(`${root}.source`, source, target)
}

/** A descriptor still names what lies under a mount: what is to be read only is made so where a path names it, and moved. */
async function mountReadOnly(staging: string, source: Folder, target: Folder): Promise<void> {
  await mkdir(staging, { mode: 0o700 })
  try {
    await mount([{ type: 'bind', source: source.path, options: ['rbind', 'ro'] }], staging)
    try {
      await mount([{ type: 'bind', source: staging, options: ['rbind'] }], target.path)
    } finally {
      await unmount(staging, { detach: true })
    }
  } finally {
    await rmdir(staging)
  }
}

/** Undefined unless it is a directory. */
async function openSource({ Source, subpath = '' }: MountPoint): Promise<Folder | undefined> {
  try {
    return subpath === '' ? await Folder.open('/', Source) : await Folder.open(Source, subpath)
  } catch (error) {
    if (isSysError(error, 'ENOENT') || isSysError(error, 'ENOTDIR')) return undefined
    throw error
  }
}
