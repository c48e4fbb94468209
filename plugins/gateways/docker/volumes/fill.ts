/** A new volume begins with what the image has in its place. */
import { chmod, chown, lstat, readdir, readlink, rename, rm, stat } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { copyTree } from '#api/sys/trees.ts'

/**
 * Fills `<folder>/_data` from `path` in `rootfs`, all or nothing: a volume that holds something is left as it is, and so is
 * one for which the image has no directory. A crash in between leaves the volume empty.
 */
export async function fillVolume(folder: string, rootfs: string, path: string): Promise<void> {
  const data = join(folder, '_data')
  if ((await readdir(data)).length > 0) return
  const source = await resolveInRoot(rootfs, path)
  if (source === undefined || !(await stat(source)).isDirectory()) return
  if ((await readdir(source)).length === 0) return takeModes(source, data)
  const aside = join(folder, '.filling')
  await rm(aside, { recursive: true, force: true })
  await copyTree(source, aside)
  await rename(aside, data)
}

/** Where a mounted volume's new content waits: what is mounted cannot be put in place as a whole. */
const asideName = '.gantry-filling'

/** As {@link fillVolume}, of what is mounted at `data`: a crash in between leaves nothing but what is filled anew. */
export async function fillMounted(data: string, rootfs: string, path: string): Promise<void> {
  if ((await readdir(data)).some(name => name !== asideName)) return
  const source = await resolveInRoot(rootfs, path)
  if (source === undefined || !(await stat(source)).isDirectory()) return
  const aside = join(data, asideName)
  await rm(aside, { recursive: true, force: true })
  await copyTree(source, aside)
  for (const name of await readdir(aside)) await rename(join(aside, name), join(data, name))
  await rm(aside, { recursive: true })
  await takeModes(source, data)
}

async function takeModes(source: string, data: string): Promise<void> {
  const { mode, uid, gid } = await stat(source)
  await chown(data, uid, gid)
  await chmod(data, mode & 0o7777)
}

/** As chroot(2) would see it; the root is an image's, in which nobody moves things meanwhile. */
const maxLinks = 40

/** The path on the host that `path` is in a root, links followed inside that root alone; undefined: there is none. */
export async function resolveInRoot(rootfs: string, path: string): Promise<string | undefined> {
  const todo = posix.normalize(path).split('/').filter(isName)
  const done: string[] = []
  for (let links = 0; todo.length > 0; ) {
    const name = todo.shift() ?? ''
    if (name === '..') {
      done.pop()
      continue
    }
    const here = join(rootfs, ...done, name)
    const found = await lstat(here).catch(() => undefined)
    if (found === undefined) return undefined
    if (!found.isSymbolicLink()) {
      done.push(name)
      continue
    }
    if (++links > maxLinks) return undefined
    const target = await readlink(here)
    if (target.startsWith('/')) done.length = 0
    todo.unshift(...target.split('/').filter(isName))
  }
  return join(rootfs, ...done)
}

function isName(part: string): boolean {
  return part !== '' && part !== '.'
}
