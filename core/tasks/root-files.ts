/**
 * Reads files of a container's root without mounting it: walks the directories behind an overlay mount as the kernel
 * would merge them. The image decides what is in there, so no step may leave it: every symbolic link, absolute or not, is
 * resolved within the root by us, and no component that is a link is ever handed to the kernel to follow.
 */
import { constants, type Stats } from 'node:fs'
import { lstat, mkdtemp, open, readlink, rmdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { getXattr, isSysError, mount, unmount } from '#api/sys/sys.ts'
import type { Mount } from '#core/snapshots/snapshots.ts'
import type { AccountFiles } from '#core/spec/spec.ts'

/** Account files are read whole; a larger one is cut. */
const maxFileBytes = 1024 * 1024
const maxLinks = 40

/** Texts of /etc/passwd and /etc/group in the root that `mounts` describe; empty where there is none. */
export async function readAccountFiles(mounts: readonly Mount[]): Promise<AccountFiles> {
  await using root = await openRoot(mounts)
  const [passwd, group] = await Promise.all([
    readInRoot(root.layers, 'etc/passwd'),
    readInRoot(root.layers, 'etc/group'),
  ])
  return { passwd, group }
}

interface OpenRoot extends AsyncDisposable {
  /** Directories to merge, topmost first. */
  layers: string[]
}

/** The directories behind one overlay or bind mount; anything else is mounted for the time of reading. */
async function openRoot(mounts: readonly Mount[]): Promise<OpenRoot> {
  const [only] = mounts
  const layers = mounts.length === 1 && only ? layersOf(only) : undefined
  if (layers) return { layers, [Symbol.asyncDispose]: async () => {} }
  const target = await mkdtemp(join(tmpdir(), 'gantry-root-'))
  await mount([...mounts], target)
  return {
    layers: [target],
    [Symbol.asyncDispose]: async () => {
      await unmount(target, { detach: true, recursive: true })
      await rmdir(target)
    },
  }
}

function layersOf({ type, source, options }: Mount): string[] | undefined {
  if (type === 'bind') return [source]
  if (type !== 'overlay') return undefined
  const value = (name: string) => options.find(option => option.startsWith(`${name}=`))?.slice(name.length + 1)
  const upper = value('upperdir')
  return [...(upper ? [upper] : []), ...(value('lowerdir')?.split(':') ?? [])]
}

async function readInRoot(layers: readonly string[], path: string): Promise<string> {
  const file = await findInRoot(layers, path)
  if (!file) return ''
  const handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const { size } = await handle.stat()
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(Math.min(size, maxFileBytes)), { position: 0 })
    return buffer.subarray(0, bytesRead).toString()
  } finally {
    await handle.close()
  }
}

/** Path on the host of a regular file in the merged root, or undefined. */
export async function findInRoot(layers: readonly string[], path: string): Promise<string | undefined> {
  let pending = components(path)
  let walked: string[] = []
  let inLayers = [...layers]
  for (let links = 0; pending.length > 0; ) {
    const [name = '', ...rest] = pending
    if (name === '..') {
      // Walked again from the top: which layers take part depends on every directory on the way.
      pending = [...walked.slice(0, -1), ...rest]
      walked = []
      inLayers = [...layers]
      continue
    }
    const found = await lookUp(inLayers, [...walked, name])
    if (!found) return undefined
    if (found.stats.isSymbolicLink()) {
      if (++links > maxLinks) return undefined
      const target = await readlink(found.path)
      pending = [...(target.startsWith('/') ? [] : walked), ...components(target), ...rest]
      walked = []
      inLayers = [...layers]
      continue
    }
    if (rest.length === 0) return found.stats.isFile() ? found.path : undefined
    if (!found.stats.isDirectory()) return undefined
    walked = [...walked, name]
    inLayers = found.merged
    pending = rest
  }
  return undefined
}

function components(path: string): string[] {
  return path.split('/').filter(part => part !== '' && part !== '.')
}

interface Found {
  path: string
  stats: Stats
  /** Layers that take part below it, when it is a directory. */
  merged: string[]
}

/** The topmost entry of that path; below a whiteout, a file or an opaque directory nothing shows through. */
async function lookUp(layers: readonly string[], path: string[]): Promise<Found | undefined> {
  const name = path.join('/')
  let found: Found | undefined
  for (const layer of layers) {
    const at = join(layer, name)
    const stats = await lstat(at).catch(() => undefined)
    if (!stats) continue
    if (!found) {
      if (stats.isCharacterDevice() && stats.rdev === 0) return undefined
      found = { path: at, stats, merged: [layer] }
      if (!stats.isDirectory()) return found
    } else if (stats.isDirectory()) found.merged.push(layer)
    else return found
    if (await isOpaque(at)) return found
  }
  return found
}

async function isOpaque(directory: string): Promise<boolean> {
  for (const name of ['trusted.overlay.opaque', 'user.overlay.opaque']) {
    try {
      if ((await getXattr(directory, name)).toString() === 'y') return true
    } catch (error) {
      if (!isSysError(error, 'ENODATA') && !isSysError(error, 'ENOTSUP') && !isSysError(error, 'EOPNOTSUPP'))
        throw error
    }
  }
  return false
}
