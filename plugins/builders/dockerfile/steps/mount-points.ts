/**
 * A container's mounts need something to lie on: the runtime makes what the root lacks, and it would end in the layer.
 * What is still empty when the step has ended goes.
 */
import { lstat, mkdtemp, readdir, rmdir, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { Mount } from '#api/gen/containerd/types/mount.ts'
import { mount, unmount } from '#api/sys/sys.ts'

/** Mounts of every container. */
const common = ['/proc', '/sys', '/dev', '/etc/hosts', '/etc/hostname', '/etc/resolv.conf']

/** Notes what is missing now; the answer takes it away again where nothing was put into it. */
export async function mountPoints(
  mounts: readonly Mount[],
  targets: readonly string[],
  state: string,
): Promise<() => Promise<void>> {
  const paths = new Set([...common, ...targets].flatMap(ancestors))
  const missing = await within(mounts, state, async root => {
    const seen = await Promise.all([...paths].map(async path => ({ path, kind: await kindOf(root, path) })))
    return seen.filter(({ kind }) => kind === 'nothing').map(({ path }) => path)
  })
  // Longer paths lie in shorter ones.
  const deepestFirst = missing.toSorted((a, b) => b.length - a.length)
  return async () => {
    if (deepestFirst.length === 0) return
    await within(mounts, state, async root => {
      for (const path of deepestFirst) await removeEmpty(root, path)
    })
  }
}

/** "/a/b" as "/a" and "/a/b". */
function ancestors(path: string): string[] {
  const parts = path.split('/').filter(part => part !== '')
  return parts.map((_, at) => `/${parts.slice(0, at + 1).join('/')}`)
}

async function within<T>(mounts: readonly Mount[], state: string, body: (root: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(state, 'root-'))
  try {
    await mount([...mounts], folder)
    try {
      return await body(folder)
    } finally {
      await unmount(folder)
    }
  } finally {
    await rmdir(folder)
  }
}

type Kind = 'nothing' | 'directory' | 'file' | 'elsewhere'

/** What is at `path`; `elsewhere` when a link is on the way, which may lead out of the root. */
async function kindOf(root: string, path: string): Promise<Kind> {
  let kind: Kind = 'directory'
  for (const ancestor of ancestors(path)) {
    if (kind !== 'directory') return 'elsewhere'
    const stats = await lstat(join(root, ancestor)).catch(error => {
      if (error.code === 'ENOENT') return undefined
      throw error
    })
    if (stats === undefined) return 'nothing'
    kind = stats.isDirectory() ? 'directory' : stats.isFile() && stats.size === 0 ? 'file' : 'elsewhere'
  }
  return kind
}

async function removeEmpty(root: string, path: string): Promise<void> {
  const kind = await kindOf(root, path)
  const full = join(root, path)
  if (kind === 'file') await unlink(full)
  if (kind === 'directory' && (await readdir(full)).length === 0) await rmdir(full)
}
