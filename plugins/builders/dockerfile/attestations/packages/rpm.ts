/** RPM's: rpmdb.sqlite (rpm 4.16 and later), a header per row (rpm-manual: header format). Older Berkeley and ndb files are not read. */
import { copyFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { invalidArgument } from '#api/errors/errors.ts'
import { type Catalog, type Distribution, distroQualifier, type FoundPackage, packageUrl } from './catalog.ts'

const tags = { name: 1000, version: 1001, release: 1002, epoch: 1003, license: 1014, arch: 1022 } as const
const int32 = 4
const indexEntryBytes = 16

export const rpm: Catalog = {
  name: 'rpm',
  matches: path => /^\/(var\/lib|usr\/lib\/sysimage)\/rpm\/(rpmdb\.sqlite|Packages|Packages\.db)$/.test(path),
  async packages(file, distribution) {
    if (basename(file.path) !== 'rpmdb.sqlite')
      throw invalidArgument(`${file.path} is an rpm database of an older form; only rpmdb.sqlite is read`)
    // SQLite wants to write beside a database in its journal's mode, and a root is read-only.
    const folder = await mkdtemp(join(tmpdir(), 'gantry-rpm-'))
    try {
      await copyFile(file.place, join(folder, 'db'))
      return await rows(join(folder, 'db'), distribution)
    } finally {
      await rm(folder, { recursive: true })
    }
  },
}

async function rows(path: string, distribution: Distribution): Promise<FoundPackage[]> {
  const { DatabaseSync } = await import('node:sqlite')
  const database = new DatabaseSync(path)
  try {
    const all = database.prepare('SELECT blob FROM Packages').all() as { blob: Uint8Array }[]
    return all.flatMap(({ blob }) => packageOf(readHeader(Buffer.from(blob)), distribution))
  } finally {
    database.close()
  }
}

function packageOf(header: ReadonlyMap<number, string>, distribution: Distribution): FoundPackage[] {
  const field = (tag: number) => header.get(tag) ?? ''
  const name = field(tags.name)
  // Keys that packages are checked with are in the database too.
  if (name === '' || name === 'gpg-pubkey') return []
  const version = `${field(tags.version)}-${field(tags.release)}`
  const qualifiers = { arch: field(tags.arch), epoch: field(tags.epoch), distro: distroQualifier(distribution) }
  const purl = packageUrl('rpm', [distribution.id, name], version, qualifiers)
  return [{ name, version, purl, license: field(tags.license) }]
}

/** The tags we know: counts of index entries and data bytes, the entries (tag, type, offset, count), the data; big-endian. */
function readHeader(blob: Buffer): Map<number, string> {
  const found = new Map<number, string>()
  if (blob.length < 8) return found
  const wanted = new Set<number>(Object.values(tags))
  const count = Math.min(blob.readUInt32BE(0), Math.floor((blob.length - 8) / indexEntryBytes))
  const data = blob.subarray(8 + count * indexEntryBytes)
  for (let at = 8; at < 8 + count * indexEntryBytes; at += indexEntryBytes) {
    const [tag, type, offset] = [blob.readUInt32BE(at), blob.readUInt32BE(at + 4), blob.readUInt32BE(at + 8)]
    if (wanted.has(tag) && offset + 4 <= data.length) found.set(tag, valueAt(data, type, offset))
  }
  return found
}

function valueAt(data: Buffer, type: number, offset: number): string {
  if (type === int32) return String(data.readUInt32BE(offset))
  const end = data.indexOf(0, offset)
  return data.subarray(offset, end < 0 ? data.length : end).toString()
}
