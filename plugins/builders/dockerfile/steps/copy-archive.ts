/** Entries of a COPY as a layer archive, and as a digest for the cache. */
import { createHash } from 'node:crypto'
import { dataLoss } from '#api/errors/errors.ts'
import { bytesOf, type SourceTree, smallFileBytes } from '../files/source-tree.ts'
import { blockBytes, encodeHeader, paddingOf } from '../files/tar-header.ts'
import type { CopyEntry } from './copy-entries.ts'

const pieceBytes = 256 * 1024
/** Two blocks of zeros. */
const end = Buffer.alloc(2 * blockBytes)

/**
 * A tar archive of the entries, in pieces of some size. Names of one file stay that. `latest`: no entry is younger
 * (SOURCE_DATE_EPOCH). DATA_LOSS: a file has changed since it was looked at.
 */
export async function* layerArchive(entries: readonly CopyEntry[], latest?: Date): AsyncGenerator<Buffer> {
  let piece: Buffer[] = []
  let bytes = 0
  const seen = new FirstNames()
  for (const one of entries) {
    for await (const part of partsOf(one, seen.before(one), latest)) {
      piece.push(part)
      bytes += part.length
      if (bytes < pieceBytes) continue
      yield Buffer.concat(piece)
      piece = []
      bytes = 0
    }
  }
  yield Buffer.concat([...piece, end])
}

/** Which names of files were there before. */
class FirstNames {
  readonly #paths = new Map<SourceTree, Map<string, string>>()

  /** Path of an entry that is the same file with the same owner and mode; undefined for the first. */
  before({ path, entry, tree }: CopyEntry): string | undefined {
    if (tree === undefined || entry.inode === undefined) return undefined
    const { inode, mode, uid, gid } = entry
    const same = [inode, mode, uid, gid].join(' ')
    const paths = this.#paths.get(tree) ?? new Map<string, string>()
    this.#paths.set(tree, paths)
    const first = paths.get(same)
    if (first === undefined) paths.set(same, path)
    return first
  }
}

async function* partsOf({ path, entry, tree }: CopyEntry, linkTo: string | undefined, latest: Date | undefined) {
  const mtime = latest !== undefined && entry.mtime > latest ? latest : entry.mtime
  yield encodeHeader({ ...entry, path, mtime }, linkTo)
  if (tree === undefined || entry.size === 0 || linkTo !== undefined) return
  let left = entry.size
  for await (const part of entry.size <= smallFileBytes ? [await bytesOf(tree, entry)] : tree.read(entry)) {
    left -= part.length
    yield part as Buffer
  }
  if (left !== 0) throw dataLoss(`"${entry.path}" has ${entry.size - left} bytes, and had ${entry.size}`)
  yield Buffer.alloc(paddingOf(entry.size))
}

/**
 * Identifies each thing that is copied, by its path, as Docker counts it: paths, kinds, modes, owners, contents, link targets, extended
 * attributes. Times do not count.
 */
export async function entryDigests(entries: readonly CopyEntry[]): Promise<Map<string, string>> {
  const digests = new Map<string, string>()
  for (const { path, entry, tree } of entries) {
    const content = tree === undefined ? '' : await tree.digest(entry)
    const xattrs = [...entry.xattrs].map(([name, value]) => [name, value.toString('hex')])
    const { type, mode, uid, gid, linkTarget, deviceMajor, deviceMinor } = entry
    const counted = [path, type, mode, uid, gid, linkTarget, deviceMajor, deviceMinor, content, xattrs]
    digests.set(path, sha256(JSON.stringify(counted)))
  }
  return digests
}

/** One digest of all, in their order. */
export function totalDigest(digests: ReadonlyMap<string, string>): string {
  return sha256([...digests.values()].join('\n'))
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
