/** Files written in a Dockerfile, as a source tree. */
import { createHash } from 'node:crypto'
import { posix } from 'node:path'
import { Readable } from 'node:stream'
import type { Entry, SourceTree } from '../files/source-tree.ts'
import { madeDirectory } from './copy-entries.ts'

export function heredocTree(files: readonly { readonly name: string; readonly content: string }[]): SourceTree {
  const contents = new Map(files.map(({ name, content }) => [posix.resolve('/', name), Buffer.from(content)]))
  const bytes = ({ path }: Entry) => contents.get(path) ?? Buffer.alloc(0)
  const at = async (path: string): Promise<Entry | undefined> => {
    if (path === '/') return madeDirectory('/')
    const content = contents.get(path)
    return content && { ...madeDirectory(path), type: 'file', mode: 0o644, size: content.length }
  }
  return {
    at,
    children: async () => (await Promise.all([...contents.keys()].map(at))).filter(entry => entry !== undefined),
    read: entry => Readable.from([bytes(entry)]),
    digest: async entry => createHash('sha256').update(bytes(entry)).digest('hex'),
  }
}
