/** Which files of a tree the sources of COPY and ADD mean. */
import { posix } from 'node:path'
import { invalidArgument, notFound } from '#api/errors/errors.ts'
import { componentMatcher, isPattern } from '../files/pattern.ts'
import { descend, type Entry, resolvePath, type SourceTree } from '../files/source-tree.ts'
import type { CopyEntry } from './copy-entries.ts'

/** A source as it was found. */
export interface Selected {
  /** What is there, links resolved. */
  readonly entry: Entry
  /** Path as it was asked for: its last name is the destination's, whatever a link resolved to. */
  readonly path: string
  /** What `--parents` keeps of it: all, or what comes after a `/./` in the source. */
  readonly kept: string
}

export interface SelectOptions {
  /** A path that climbs out of the tree is refused, as Docker does for contexts. */
  readonly confined: boolean
  /** `--parents`: a component `**` is any number of directories. */
  readonly parents?: boolean
  /** A pattern may match nothing. */
  readonly orNothing?: boolean
}

/**
 * Files and directories that `source` means in `tree`, links followed. NOT_FOUND: nothing is there; INVALID_ARGUMENT: it
 * climbs out, or is no pattern.
 */
export async function selectSources(
  tree: SourceTree,
  source: string,
  { confined, parents = false, orNothing = false }: SelectOptions,
): Promise<Selected[]> {
  if (confined && climbsOut(source))
    throw invalidArgument(`forbidden path outside the build context: ${source}: a source must lie in the context`)
  const path = posix.resolve('/', source)
  const paths = isPattern(path) ? await matching(tree, path, parents) : [path]
  const skipped = componentsBeforePivot(source)
  const selected = await Promise.all(
    paths.map(async found => ({
      ...{ path: found, entry: await followed(tree, found) },
      kept: found
        .split('/')
        .slice(1 + skipped)
        .join('/'),
    })),
  )
  const there = selected.filter((one): one is Selected => one.entry !== undefined)
  if (there.length > 0 || (orNothing && isPattern(path))) return there
  throw notFound(`"${source}": file not found in build context or excluded by .dockerignore`, { bare: true })
}

/** `a/b/./c`: two. */
function componentsBeforePivot(source: string): number {
  const at = source.indexOf('/./')
  return at < 0
    ? 0
    : posix
        .normalize(source.slice(0, at))
        .split('/')
        .filter(part => part !== '' && part !== '.').length
}

/** A path with all below it, as entries to digest or to unpack; the tree's own root left out. NOT_FOUND. */
export async function selectEntries(tree: SourceTree, source: string): Promise<CopyEntry[]> {
  const path = await resolvePath(tree, posix.resolve('/', source))
  const own = await tree.at(path)
  if (own === undefined)
    throw notFound(`"${source}": file not found in build context or excluded by .dockerignore`, { bare: true })
  const entryOf = (entry: Entry) => ({ path: entry.path, entry, tree: entry.type === 'file' ? tree : undefined })
  const entries = path === '/' ? [] : [entryOf(own)]
  if (own.type === 'directory') for await (const entry of descend(tree, path)) entries.push(entryOf(entry))
  return entries
}

function climbsOut(source: string): boolean {
  const normal = posix.normalize(source.replace(/^\/+/, ''))
  return normal === '..' || normal.startsWith('../')
}

async function followed(tree: SourceTree, path: string): Promise<Entry | undefined> {
  return tree.at(await resolvePath(tree, path))
}

/** Component by component: a directory is read only where a component has a pattern. */
async function matching(tree: SourceTree, pattern: string, anyDepth: boolean): Promise<string[]> {
  let paths = ['/']
  for (const component of pattern.split('/').slice(1)) {
    const matches = componentMatcher(component)
    const deeper = paths.map(async path => {
      if (anyDepth && component === '**') return [path, ...(await directoriesBelow(tree, path))]
      if (!isPattern(component)) return [posix.join(path, component)]
      const directory = await followed(tree, path)
      if (directory?.type !== 'directory') return []
      const names = (await tree.children(directory.path)).map(child => posix.basename(child.path))
      return names.filter(matches).map(name => posix.join(path, name))
    })
    paths = [...new Set((await Promise.all(deeper)).flat())]
  }
  return paths
}

/** All the way down; links to directories are none. */
async function directoriesBelow(tree: SourceTree, path: string): Promise<string[]> {
  const directories: string[] = []
  for await (const entry of descend(tree, path)) if (entry.type === 'directory') directories.push(entry.path)
  return directories
}
