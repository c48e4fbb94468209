/** Entries of a COPY as a layer archive, and as a digest for the cache. */
import { createHash } from 'node:crypto'
import { pipeline } from 'node:stream/promises'
import { type Header, type Pack, pack } from 'tar-stream'
import { dataLoss } from '#api/errors/errors.ts'
import { bytesOf, type Entry, type SourceTree, smallFileBytes } from '../files/source-tree.ts'
import type { CopyEntry } from './copy-entries.ts'

/** A tar archive of the entries, as it is read. `latest`: no entry is younger (SOURCE_DATE_EPOCH). */
export function layerArchive(entries: readonly CopyEntry[], latest?: Date): { archive: Pack; written: Promise<void> } {
  const archive = pack()
  const written = write(archive, entries, latest)
  written.catch(error => archive.destroy(error))
  return { archive, written }
}

async function write(archive: Pack, entries: readonly CopyEntry[], latest: Date | undefined): Promise<void> {
  for (const one of entries) {
    const header = headerOf(one, latest)
    if (one.tree === undefined || one.entry.size === 0) archive.entry(header, '')
    else if (one.entry.size <= smallFileBytes) archive.entry(header, await wholeOf(one.tree, one.entry))
    else await pipeline(one.tree.read(one.entry), archive.entry(header))
  }
  archive.finalize()
}

/** DATA_LOSS: it has changed since it was looked at. */
async function wholeOf(tree: SourceTree, entry: Entry): Promise<Buffer> {
  const bytes = await bytesOf(tree, entry)
  if (bytes.length !== entry.size) throw dataLoss(`"${entry.path}" has ${bytes.length} bytes, and had ${entry.size}`)
  return bytes
}

function headerOf({ path, entry }: CopyEntry, latest: Date | undefined): Header {
  const mtime = latest !== undefined && entry.mtime > latest ? latest : entry.mtime
  const pax = Object.fromEntries(
    [...entry.xattrs].map(([name, value]) => [`SCHILY.xattr.${name}`, value.toString('latin1')]),
  )
  return {
    name: path.slice(1) + (entry.type === 'directory' ? '/' : ''),
    ...{ type: entry.type, mode: entry.mode, uid: entry.uid, gid: entry.gid, mtime, size: entry.size },
    ...{ linkname: entry.type === 'symlink' ? entry.linkTarget : null },
    ...{ devmajor: entry.deviceMajor, devminor: entry.deviceMinor },
    ...(Object.keys(pax).length > 0 && { pax }),
  } as Header
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
