/** The folders of `RUN --mount=type=cache`: one per id, used last when its time says. */
import { lstat, readdir, rename, rm, utimes } from 'node:fs/promises'
import { join } from 'node:path'

export interface MountCache {
  readonly name: string
  readonly sizeBytes: number
  readonly usedAtMs: number
}

/** Notes that a step uses it now. */
export async function touchMountCache(folder: string): Promise<void> {
  const now = new Date()
  await utimes(folder, now, now)
}

export async function listMountCaches(root: string): Promise<MountCache[]> {
  const names = (await readdir(root)).filter(name => !name.startsWith(removed))
  return await Promise.all(
    names.map(async name => {
      const folder = join(root, name)
      return { name, usedAtMs: (await lstat(folder)).mtimeMs, sizeBytes: await bytesBelow(folder) }
    }),
  )
}

const removed = '.removed-'

/** Out of the way at once, so that a new step begins with an empty one; removed then. */
export async function forgetMountCache(root: string, name: string): Promise<void> {
  const aside = join(root, `${removed}${crypto.randomUUID()}`)
  await rename(join(root, name), aside)
  await rm(aside, { recursive: true, force: true })
}

/** As the disk counts them; what goes meanwhile counts nothing. */
async function bytesBelow(folder: string): Promise<number> {
  let sum = 0
  for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => [])) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) sum += await bytesBelow(path)
    else sum += ((await lstat(path).catch(() => undefined))?.blocks ?? 0) * 512
  }
  return sum
}
