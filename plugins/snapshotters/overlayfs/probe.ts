/** Whether the kernel and the file system below a root can do what overlayfs needs; asked once per kernel and disk. */
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { release } from 'node:os'
import { join } from 'node:path'
import { failedPrecondition, messageOf } from '#api/errors/errors.ts'
import { isSysError, mount, unmount } from '#api/sys/sys.ts'
import type { Mount } from '#api/types/mount.ts'

/**
 * Mounts a small overlay below `root` with one set of options after the other, and answers the first that works.
 * FAILED_PRECONDITION when none does: `root` on overlayfs, on a file system without d_type or extended attributes, or
 * no right to mount.
 */
export async function firstThatMounts(root: string, sets: readonly (readonly string[])[]): Promise<readonly string[]> {
  const verdict = join(root, 'overlay-checked')
  const facts = `${release()} ${(await stat(root)).dev} ${sets.join(' ')}`
  const known = (await readFile(verdict, 'utf8').catch(() => '')).split('\n')
  const remembered = known[0] === facts ? sets[Number(known[1])] : undefined
  if (remembered) return remembered
  const index = await firstWorking(root, sets)
  await writeFile(verdict, `${facts}\n${index}\n`, { mode: 0o600 })
  return sets[index] ?? []
}

async function firstWorking(root: string, sets: readonly (readonly string[])[]): Promise<number> {
  for (const [index, options] of sets.entries()) {
    try {
      await tryOverlay(root, options)
      return index
    } catch (error) {
      if (index === sets.length - 1) throw error
    }
  }
  throw new TypeError('no set of options to try')
}

async function tryOverlay(root: string, options: readonly string[]): Promise<void> {
  const dir = await mkdtemp(join(root, 'probe-'))
  try {
    for (const name of ['low', 'up', 'work', 'merged']) await mkdir(join(dir, name))
    const layers = [`lowerdir=${dir}/low`, `upperdir=${dir}/up`, `workdir=${dir}/work`]
    const overlay: Mount = { type: 'overlay', source: 'overlay', target: '', options: [...options, ...layers] }
    await mount([overlay], join(dir, 'merged'))
    await unmount(join(dir, 'merged'), { detach: true })
  } catch (cause) {
    if (!isSysError(cause)) throw cause
    throw failedPrecondition(
      `cannot mount an overlay below "${root}" (${messageOf(cause)}): it needs root rights and a file system such as ext4, xfs or btrfs, not overlayfs itself`,
      { cause },
    )
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}
