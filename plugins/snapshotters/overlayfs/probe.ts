/** Whether the kernel and the file system below a root can do what overlayfs needs; asked once per kernel and disk. */
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { release } from 'node:os'
import { join } from 'node:path'
import { failedPrecondition, messageOf } from '#api/errors/errors.ts'
import { isSysError, mount, unmount } from '#api/sys/sys.ts'
import type { Mount } from '#api/types/mount.ts'

const wholeIdRange = /^\s*0\s+0\s+4294967295\s*$/

/** True inside a user namespace, where trusted.* attributes are refused and overlay must use user.overlay.*. */
export async function needsUserXattr(): Promise<boolean> {
  return !wholeIdRange.test(await readFile('/proc/self/uid_map', 'utf8'))
}

/**
 * Mounts a small overlay below `root`. FAILED_PRECONDITION when that fails: `root` on overlayfs, on a file system
 * without d_type or extended attributes, or no right to mount.
 */
export async function checkOverlay(root: string, options: readonly string[]): Promise<void> {
  const verdict = join(root, 'overlay-checked')
  const facts = `${release()} ${(await stat(root)).dev} ${options.join(',')}\n`
  if ((await readFile(verdict, 'utf8').catch(() => '')) === facts) return
  await tryOverlay(root, options)
  await writeFile(verdict, facts, { mode: 0o600 })
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
