/** What a COPY puts where: sources and a destination in, entries of a layer out. */
import { posix } from 'node:path'
import { invalidArgument } from '#api/errors/errors.ts'
import type { Ignore } from '../files/ignore.ts'
import { descend, type Entry, resolvePath, type SourceTree } from '../files/source-tree.ts'
import type { ModeChange } from './file-mode.ts'
import { type Selected, selectSources } from './select-sources.ts'

/** One entry of the layer: what, from where, and under which path. */
export interface CopyEntry {
  /** Absolute path in the image. */
  readonly path: string
  readonly entry: Entry
  /** Where a file's bytes are read from; undefined for what has none. */
  readonly tree: SourceTree | undefined
}

export interface CopyOptions {
  /** WORKDIR: a relative destination starts there. */
  readonly workingDir: string
  readonly owner: { readonly uid: number; readonly gid: number } | undefined
  /** Undefined: modes stay. */
  readonly chmod: ModeChange | undefined
  readonly parents: boolean
  readonly exclude: Ignore
  /** Sources must not climb out of their tree. */
  readonly confined: boolean
  /** A file may take a directory's place and the other way round, as when tar unpacks. */
  readonly replaces?: boolean
}

/** The keyword is for messages. */
export interface CopyRequest {
  readonly keyword: 'COPY' | 'ADD'
  readonly sources: readonly string[]
  readonly destination: string
}

/** Entries of a layer, and what each source was: the kinds count for history. */
export interface CopiedEntries {
  readonly entries: readonly CopyEntry[]
  readonly sources: readonly Entry['type'][]
}

/**
 * Entries in an order in which they can be unpacked: directories that are missing on the way first. `image`: the root
 * they go to, whose links are followed. NOT_FOUND: a source is not there; INVALID_ARGUMENT: they do not fit the
 * destination.
 */
export async function copyEntries(
  tree: SourceTree,
  image: Pick<SourceTree, 'at'>,
  { keyword, sources, destination }: CopyRequest,
  options: CopyOptions,
): Promise<CopiedEntries> {
  const selected = await selectAll(tree, sources, options)
  const target = await resolveDestination(image, destination, options.workingDir)
  if (selected.length > 1 && !target.isDirectory)
    throw invalidArgument(
      `When using ${keyword} with more than one source file, the destination must be a directory and end with a /`,
    )
  const placed: CopyEntry[] = []
  const isThere = async (path: string) => (await image.at(path))?.type === 'directory'
  for (const source of selected) placed.push(...(await place(tree, source, target, { ...options, isThere })))
  const entries = [...(await missingParents(image, placed)), ...unique(placed)]
  if (!options.replaces) await refuseReplacements(image, entries)
  return { entries, sources: selected.map(({ entry }) => entry.type) }
}

/** Patterns that match nothing are nothing, where another source is something. NOT_FOUND names the first. */
async function selectAll(
  tree: SourceTree,
  sources: readonly string[],
  { confined, parents }: CopyOptions,
): Promise<Selected[]> {
  const select = (source: string) => selectSources(tree, source, { confined, parents, orNothing: sources.length > 1 })
  const selected = (await Promise.all(sources.map(select))).flat()
  const [first = ''] = sources
  return selected.length > 0 ? selected : selectSources(tree, first, { confined, parents })
}

/** Neither becomes the other: files go into directories, and directories over directories. */
async function refuseReplacements(image: Pick<SourceTree, 'at'>, entries: readonly CopyEntry[]): Promise<void> {
  const isThere = new Map<string, boolean>()
  for (const { path, entry } of entries) {
    const parent = posix.dirname(path)
    const known = isThere.get(parent) ?? (await image.at(parent))?.type === 'directory'
    isThere.set(parent, known)
    // Below what the image lacks there is nothing to replace.
    const before = known ? (await image.at(path))?.type : undefined
    if (before === undefined || (before === 'directory') === (entry.type === 'directory')) continue
    if (before === 'symlink') continue
    throw invalidArgument(
      before === 'directory'
        ? `cannot replace to directory ${path} with file`
        : `cannot copy to non-directory: ${path}: the image has a ${before} there`,
    )
  }
}

export interface Destination {
  readonly path: string
  /** It is one, or is written as one. */
  readonly isDirectory: boolean
}

/** Where a destination leads in the image. */
export async function resolveDestination(
  image: Pick<SourceTree, 'at'>,
  destination: string,
  workingDir: string,
): Promise<Destination> {
  const path = await resolvePath(image, posix.resolve('/', workingDir, destination))
  const written = destination.endsWith('/') || destination === '.' || destination.endsWith('/.')
  return { path, isDirectory: written || (await image.at(path))?.type === 'directory' }
}

interface Placing extends CopyOptions {
  /** True when the image has a directory at that path. */
  isThere(path: string): Promise<boolean>
}

async function place(tree: SourceTree, source: Selected, target: Destination, options: Placing) {
  const { entry, path, kept } = source
  const changed = (one: Entry, at: string) => copied(tree, one, at, options)
  const below = options.parents ? posix.join(target.path, kept) : target.path
  if (entry.type !== 'directory') {
    const isInside = target.isDirectory || options.parents
    const at = options.parents ? below : isInside ? posix.join(target.path, posix.basename(path)) : target.path
    return options.exclude(path.slice(1)) ? [] : [changed(entry, at)]
  }
  // What goes into a directory does not change it.
  const placed: CopyEntry[] = (await options.isThere(below)) ? [] : [changed(entry, below)]
  for await (const child of descend(tree, entry.path)) {
    const inside = posix.relative(entry.path, child.path)
    if (!options.exclude(posix.join(path.slice(1), inside))) placed.push(changed(child, posix.join(below, inside)))
  }
  return placed
}

function copied(tree: SourceTree, entry: Entry, path: string, { owner, chmod }: CopyOptions): CopyEntry {
  // A link has no mode of its own.
  const mode = chmod !== undefined && entry.type !== 'symlink' ? chmod(entry) : entry.mode
  return { path, entry: { ...entry, ...owner, mode }, tree: entry.type === 'file' ? tree : undefined }
}

/** Directories above the entries that the image lacks: root's, 0755, as Docker makes them. */
async function missingParents(image: Pick<SourceTree, 'at'>, placed: readonly CopyEntry[]): Promise<CopyEntry[]> {
  const made = new Map<string, CopyEntry>()
  const own = new Set(placed.filter(({ entry }) => entry.type === 'directory').map(({ path }) => path))
  for (const { path } of placed)
    for (
      let parent = posix.dirname(path);
      parent !== '/' && !own.has(parent) && !made.has(parent);
      parent = posix.dirname(parent)
    ) {
      if ((await image.at(parent))?.type === 'directory') break
      made.set(parent, { path: parent, entry: madeDirectory(parent), tree: undefined })
    }
  return [...made.values()].toSorted((a, b) => (a.path < b.path ? -1 : 1))
}

/** A directory of a build's own making. */
export function madeDirectory(path: string): Entry {
  const none = { size: 0, linkTarget: '', deviceMajor: 0, deviceMinor: 0, xattrs: new Map<string, Buffer>() }
  return { path, type: 'directory', mode: 0o755, uid: 0, gid: 0, mtime: new Date(0), ...none }
}

/** Two sources with one name: the later one counts. */
function unique(placed: readonly CopyEntry[]): CopyEntry[] {
  return [...new Map(placed.map(one => [one.path, one])).values()]
}
