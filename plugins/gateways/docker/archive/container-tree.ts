/** The whole file tree of a container, mounts included, as its processes see it. */
import { mkdir, stat } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { mount, unmount } from '#api/sys/sys.ts'
import { sourceOf } from '../containers/create/mounts.ts'
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
    const mounted: string[] = []
    try {
      for (const point of found.record.mounts)
        if (point.Type === 'volume' || point.Type === 'bind') await mountPoint(root, point, mounted)
      return await body(root)
    } finally {
      for (const path of mounted.reverse()) await unmount(path, { detach: true }).catch(() => {})
    }
  })
}

/** Sources that are files, and places that are not there, are left out: nobody could have seen them yet. */
async function mountPoint(root: string, point: Found['record']['mounts'][number], mounted: string[]): Promise<void> {
  const source = sourceOf(point)
  if (!(await stat(source).catch(() => undefined))?.isDirectory()) return
  using parent = await Folder.make(root, dirname(point.Destination))
  const place = parent.at(basename(point.Destination))
  await mkdir(place, { recursive: true }).catch(() => {})
  using target = await Folder.open(root, point.Destination)
  const path = target.at('.').replace(/\/\.$/, '')
  await mount([{ type: 'bind', source, options: ['rbind', point.RW ? 'rw' : 'ro'] }], path)
  mounted.push(`${root}${point.Destination}`)
}
