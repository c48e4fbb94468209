/** Gets at the directory behind mounts, mounting only when it must. */
import { access, mkdtemp, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { internal, invalidArgument } from '../errors/errors.ts'
import type { Mount } from '../types/mount.ts'
import { refusedMount } from './refused-mount.ts'
import { mount, unmount } from './sys.ts'

/** A directory to read or write a tree's changes in. */
export interface Tree {
  readonly path: string
  /** `overlay`: an upper directory, to be written in overlay's form. */
  readonly format: 'plain' | 'overlay'
  /** Below an upper directory, topmost first. */
  readonly lowers: readonly string[]
  /** Overlay marks are `user.overlay.*`. */
  readonly userxattr: boolean
}

/** Runs `body` with the tree of `mounts`; what was mounted for it is gone afterwards. */
export async function withTree<T>(
  mounts: readonly Mount[],
  tempDir: string,
  body: (tree: Tree) => Promise<T>,
): Promise<T> {
  const direct = directTree(mounts)
  if (direct) {
    await access(direct.path).catch(cause => {
      throw invalidArgument(`mount source "${direct.path}": there is no such directory`, { cause })
    })
    return body(direct)
  }
  await using undo = new AsyncDisposableStack()
  const path = await mkdtemp(join(tempDir, 'diff-'))
  // Only what is unmounted is taken away.
  undo.defer(async () => {
    await unmount(path, { recursive: true })
    await removeUnmounted(path)
  })
  await mount([...mounts], path).catch(refusedMount)
  return await body({ path, format: 'plain', lowers: [], userxattr: false })
}

/** What was written there beside any mount goes too; never what is still mounted. */
async function removeUnmounted(folder: string): Promise<void> {
  const table = await readFile('/proc/self/mountinfo', 'utf8')
  const left = table.split('\n').some(line => `${line.split(' ')[4]}/`.startsWith(`${folder}/`))
  if (left) throw internal(`${folder} is still mounted on`)
  await rm(folder, { recursive: true, force: true })
}

/** The tree when no mount is needed to get at it; undefined when one is. */
export function directTree(mounts: readonly Mount[]): Tree | undefined {
  const [only] = mounts
  if (only === undefined || mounts.length !== 1 || (only.target ?? '') !== '') return undefined
  const isBind = only.type === 'bind' || only.options.includes('bind') || only.options.includes('rbind')
  if (isBind && !only.options.includes('ro'))
    return { path: only.source, format: 'plain', lowers: [], userxattr: false }
  const upper = optionValue(only, 'upperdir')
  if (only.type !== 'overlay' || upper === undefined || only.options.includes('ro')) return undefined
  const lowers = splitLowers(optionValue(only, 'lowerdir') ?? '')
  return { path: unescaped(upper), format: 'overlay', lowers, userxattr: only.options.includes('userxattr') }
}

function optionValue({ options }: Mount, name: string): string | undefined {
  return options.find(option => option.startsWith(`${name}=`))?.slice(name.length + 1)
}

/** Colons divide, a backslash takes the next character's meaning away (kernel: overlayfs.rst). */
function splitLowers(text: string): string[] {
  return (text.match(/(?:\\.|[^\\:])+/gs) ?? []).map(unescaped)
}

function unescaped(path: string): string {
  return path.replace(/\\(.)/gs, '$1')
}
