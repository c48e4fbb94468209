/** The header of an entry of a tar archive, to write and to read: ustar's, with pax's where that is too small (POSIX pax(1)). */
import { Header, type HeaderData } from 'tar'
import { invalidArgument } from '#api/errors/errors.ts'
import type { Entry, EntryType } from './source-tree.ts'

export const blockBytes = 512
/** What an extended header may have. */
const maxExtendedBytes = 1024 * 1024
const xattrPrefix = 'SCHILY.xattr.'

type TarType = NonNullable<HeaderData['type']>

const tarTypes: Readonly<Record<EntryType, TarType>> = {
  ...{ file: 'File', directory: 'Directory', symlink: 'SymbolicLink', fifo: 'FIFO' },
  ...{ 'character-device': 'CharacterDevice', 'block-device': 'BlockDevice' },
}

/** Bytes after `sizeBytes` of content up to the next block. */
export function paddingOf(sizeBytes: number): number {
  return (blockBytes - (sizeBytes % blockBytes)) % blockBytes
}

/** `linkTo`: the entry is a hard link to that path of the archive. */
export function encodeHeader(entry: Entry, linkTo?: string): Buffer {
  const path = entry.path.slice(1) + (entry.type === 'directory' ? '/' : '')
  const linkpath = linkTo?.slice(1) ?? (entry.type === 'symlink' ? entry.linkTarget : '')
  const { mode, uid, gid, mtime, deviceMajor: devmaj, deviceMinor: devmin } = entry
  const header = new Header({
    ...{ path, linkpath, type: linkTo === undefined ? tarTypes[entry.type] : 'Link' },
    ...{ mode, uid, gid, mtime: new Date(Math.floor(mtime.getTime() / 1000) * 1000), devmaj, devmin },
    size: linkTo === undefined ? entry.size : 0,
  })
  const block = Buffer.alloc(blockBytes)
  const isTooSmall = header.encode(block)
  const records: (readonly [string, Buffer])[] = [...entry.xattrs].map(([name, value]) => [xattrPrefix + name, value])
  if (isTooSmall)
    records.push(
      ...Object.entries({ path, linkpath, size: header.size, uid, gid })
        .filter(([, value]) => value !== '')
        .map(([key, value]) => [key, Buffer.from(String(value))] as const),
    )
  return records.length === 0 ? block : Buffer.concat([extendedHeader(records), block])
}

function extendedHeader(records: readonly (readonly [string, Buffer])[]): Buffer {
  const body = Buffer.concat(records.map(([key, value]) => record(key, value)))
  const block = Buffer.alloc(blockBytes)
  new Header({ path: 'PaxHeader', type: 'ExtendedHeader', mode: 0o644, uid: 0, gid: 0, size: body.length }).encode(
    block,
  )
  return Buffer.concat([block, body, Buffer.alloc(paddingOf(body.length))])
}

/** `LENGTH KEY=VALUE\n`, whose length counts its own digits. */
function record(key: string, value: Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from('\n')])
  let length = rest.length + 1
  while (length !== rest.length + String(length).length) length = rest.length + String(length).length
  return Buffer.concat([Buffer.from(String(length)), rest])
}

/** What stands before an entry and speaks of it: pax's records, and GNU's long names. */
export interface Extension {
  readonly records: ReadonlyMap<string, Buffer>
}

/** Undefined for what is no extension. INVALID_ARGUMENT: it is longer than any that is meant well. */
export function extensionBytes({ type, size = 0 }: Header): number | undefined {
  const isOne = ['ExtendedHeader', 'GlobalExtendedHeader', 'NextFileHasLongPath', 'NextFileHasLongLinkpath'].includes(
    type,
  )
  if (!isOne) return undefined
  if (size > maxExtendedBytes) throw invalidArgument(`an extended header of ${size} bytes in a tar archive`)
  return size
}

/** Adds what an extension's body says. A global one is of no use to us: it tells of comments, mostly. */
export function readExtension(records: Map<string, Buffer>, { type }: Header, body: Buffer): void {
  if (type === 'GlobalExtendedHeader') return
  if (type === 'ExtendedHeader') {
    addRecords(records, body)
    return
  }
  const text = body.subarray(0, body.indexOf(0) < 0 ? body.length : body.indexOf(0))
  records.set(type === 'NextFileHasLongPath' ? 'path' : 'linkpath', text)
}

function addRecords(records: Map<string, Buffer>, body: Buffer): void {
  for (let at = 0; at < body.length; ) {
    const length = Number.parseInt(body.toString('latin1', at, at + 12), 10)
    const equals = body.indexOf('=', at)
    if (!(length > 0) || equals < 0 || at + length > body.length) return
    const key = body.toString('utf8', body.indexOf(' ', at) + 1, equals)
    records.set(key, Buffer.from(body.subarray(equals + 1, at + length - 1)))
    at += length
  }
}

/** The header in a block, with the records that stood before it; undefined for a block of zeros. INVALID_ARGUMENT. */
export function decodeHeader(block: Buffer, records: ReadonlyMap<string, Buffer>): Header | undefined {
  const text = (key: string) => records.get(key)?.toString()
  const number = (key: string) => (records.has(key) ? Number(text(key)) : undefined)
  const seconds = number('mtime')
  const known = {
    ...{ path: text('path'), linkpath: text('linkpath'), size: number('size'), uid: number('uid'), gid: number('gid') },
    mtime: seconds === undefined || Number.isNaN(seconds) ? undefined : new Date(seconds * 1000),
  }
  const extended = Object.fromEntries(Object.entries(known).filter(([, value]) => value !== undefined))
  const header = new Header(block, 0, records.size === 0 ? undefined : extended)
  if (header.nullBlock) return undefined
  if (!header.cksumValid)
    throw invalidArgument('the build context is not a readable tar archive: the checksum of a header is wrong')
  // Only the header itself is looked at for it, when it stands in both.
  if (known.linkpath !== undefined) header.linkpath = known.linkpath
  return header
}

/** Extended attributes that images keep. */
export function xattrsOf(records: ReadonlyMap<string, Buffer>): Map<string, Buffer> {
  const kept = [...records].filter(
    ([key]) => key.startsWith(`${xattrPrefix}security.capability`) || key.startsWith(`${xattrPrefix}user.`),
  )
  return new Map(kept.map(([key, value]) => [key.slice(xattrPrefix.length), value]))
}
