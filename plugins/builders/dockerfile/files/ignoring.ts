/** A tree as a build sees it: without what `.dockerignore` names. */
import { posix } from 'node:path'
import type { Readable } from 'node:stream'
import type { Ignore } from './ignore.ts'
import { bytesOf, descend, type Entry, type SourceTree } from './source-tree.ts'

/** Directories stay where something below them does. Looks at all of the tree once. */
export async function ignoring(tree: SourceTree, ignore: Ignore): Promise<SourceTree> {
  const visible = new Set(['/'])
  for await (const { path } of descend(tree, '/'))
    if (!ignore(path.slice(1))) for (let at = path; !visible.has(at); at = posix.dirname(at)) visible.add(at)
  return new IgnoringTree(tree, visible)
}

class IgnoringTree implements SourceTree {
  readonly #tree: SourceTree
  readonly #visible: ReadonlySet<string>

  constructor(tree: SourceTree, visible: ReadonlySet<string>) {
    this.#tree = tree
    this.#visible = visible
  }

  async at(path: string): Promise<Entry | undefined> {
    return this.#visible.has(path) ? this.#tree.at(path) : undefined
  }

  async children(path: string): Promise<Entry[]> {
    return (await this.#tree.children(path)).filter(entry => this.#visible.has(entry.path))
  }

  read(entry: Entry): Readable {
    return this.#tree.read(entry)
  }

  bytes(entry: Entry): Promise<Buffer> {
    return bytesOf(this.#tree, entry)
  }

  digest(entry: Entry): Promise<string> {
    return this.#tree.digest(entry)
  }
}
