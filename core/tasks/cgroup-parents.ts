/**
 * The cgroups above those of containers: `/<name>` and `/<name>/<tenant namespace>`. Runtimes make them on the way to a
 * container's own and leave them; they are taken away when the daemon ends and no container is in them.
 */
import { rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { namesIn } from '#api/sys/folders.ts'
import { isSysError } from '#api/sys/sys.ts'

const hierarchies = '/sys/fs/cgroup'

/** Only empty ones go: the kernel refuses to remove a cgroup with processes or children in it. */
export async function removeEmptyCgroups(name: string): Promise<void> {
  const controllers = await namesIn(hierarchies)
  await Promise.all(
    [hierarchies, ...controllers.map(entry => join(hierarchies, entry))].map(top => removeBelow(join(top, name))),
  )
}

async function removeBelow(path: string): Promise<void> {
  const inside = await namesIn(path)
  await Promise.all(inside.map(child => remove(join(path, child))))
  await remove(path)
}

/** The files of a cgroup are ENOTDIR, or ENOENT where there is none; those in use are EBUSY. */
async function remove(path: string): Promise<void> {
  await rmdir(path).catch(error => {
    if (!['EBUSY', 'ENOENT', 'ENOTDIR', 'ENOTEMPTY', 'EPERM'].some(code => isSysError(error, code))) throw error
  })
}
