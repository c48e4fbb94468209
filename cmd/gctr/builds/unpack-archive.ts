/** An archive as a folder's files. */
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { posix } from 'node:path'
import { extract, type ReadEntry } from 'tar'
import { invalidArgument } from '#api/errors/errors.ts'

/**
 * Files become the caller's, with the modes and times they have in the archive, as buildx leaves them; devices are left out. Links
 * stay as they are, wherever they lead: nothing is written through one. INVALID_ARGUMENT: an entry that would get out of the folder.
 */
export async function unpackArchive(source: AsyncIterable<Uint8Array>, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  const inside = new InsideOnly()
  // By default tar rewrites links that are absolute, which would make another tree of it.
  const exact = { preservePaths: true, chmod: true, processUmask: 0, preserveOwner: false }
  const unpacking = extract({
    ...{ cwd: folder, strict: true, unlink: true, ...exact },
    filter: (_path, entry) => inside.take(entry as ReadEntry),
  })
  const closed = once(unpacking, 'close')
  closed.catch(() => {})
  for await (const chunk of source) {
    if (inside.refused !== undefined) throw inside.refused
    if (!unpacking.write(Buffer.from(chunk))) await Promise.race([once(unpacking, 'drain'), closed])
  }
  unpacking.end()
  await closed
  if (inside.refused !== undefined) throw inside.refused
}

/** Looks at each entry's way: no step up, no root, and no step through a link of the same archive. */
class InsideOnly {
  readonly #links = new Set<string>()
  refused: Error | undefined

  /** False: it is left out. */
  take({ type, path, linkpath }: ReadEntry): boolean {
    if (this.refused !== undefined) return false
    const ways = type === 'Link' ? [path, linkpath ?? ''] : [path]
    if (!ways.every(way => this.#staysInside(way))) {
      this.refused = invalidArgument(`archive entry "${path}" leads out of the folder`)
      return false
    }
    if (type === 'SymbolicLink') this.#links.add(clean(path))
    return ['File', 'OldFile', 'Directory', 'Link', 'SymbolicLink'].includes(type)
  }

  #staysInside(path: string): boolean {
    if (path.startsWith('/') || path.split('/').includes('..')) return false
    const parts = clean(path).split('/').slice(0, -1)
    return !parts.some((_, at) => this.#links.has(parts.slice(0, at + 1).join('/')))
  }
}

function clean(path: string): string {
  return posix.normalize(path).replace(/^\.\//, '').replace(/\/$/, '')
}
