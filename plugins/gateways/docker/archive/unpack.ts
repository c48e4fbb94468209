/** A tar archive into a directory of a container. */
import { constants } from 'node:fs'
import { chmod, chown, lchown, link, lstat, lutimes, mkdir, open, rm, symlink } from 'node:fs/promises'
import { basename, dirname, join, normalize } from 'node:path'
import type { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { extract, type Header } from 'tar-stream'
import { mknod } from '#api/sys/sys.ts'
import { badRequest } from '../http/http-error.ts'
import { Folder } from './root-files.ts'

export interface UnpackOptions {
  /** A directory does not take a file's place, nor a file a directory's. */
  keepKinds: boolean
  /** Owner of everything, in place of the archive's. */
  owner?: { uid: number; gid: number } | undefined
}

/** Entries past this are refused: nobody copies so many. */
const maxEntries = 4_000_000

/** `target`: absolute in the container, an existing directory. 400 names the entry that cannot be. */
export async function unpackInto(
  root: string,
  target: string,
  archive: Readable,
  options: UnpackOptions,
): Promise<void> {
  const entries = extract()
  const source = await plain(archive)
  source.on('error', error => entries.destroy(error))
  source.pipe(entries)
  let count = 0
  /** Set last: unpacking into a directory changes its time. */
  const folders: [path: string, header: Header][] = []
  for await (const entry of entries) {
    if (++count > maxEntries) throw badRequest(`archive has more than ${maxEntries} entries`)
    const path = placeOf(target, entry.header.name)
    await unpackOne(root, target, path, entry.header, entry as AsyncIterable<Buffer>, options)
    if (entry.header.type === 'directory') folders.push([path, entry.header])
    entry.resume()
  }
  for (const [path, { mtime }] of folders.reverse()) {
    using folder = await Folder.open(root, dirname(path))
    if (mtime) await lutimes(folder.at(basename(path)), mtime, mtime).catch(() => {})
  }
}

/** Clients may compress. */
async function plain(archive: Readable): Promise<Readable> {
  const first = await firstBytes(archive)
  return first[0] === 0x1f && first[1] === 0x8b ? archive.pipe(createGunzip()) : archive
}

async function firstBytes(archive: Readable): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
  const look = () => {
    const chunk: Buffer | null = archive.read()
    if (chunk === null) return
    archive.off('readable', look).off('end', empty).off('error', reject)
    archive.unshift(chunk)
    resolve(chunk)
  }
  const empty = () => resolve(Buffer.alloc(0))
  archive.on('readable', look).once('end', empty).once('error', reject)
  look()
  return promise
}

function placeOf(target: string, name: string): string {
  const inside = normalize(join('/', name))
  if (name.split('/').includes('..')) throw badRequest(`archive entry "${name}" leads out of the archive`)
  return join(target, inside).replace(/(.)\/$/, '$1')
}

async function unpackOne(
  root: string,
  target: string,
  path: string,
  header: Header,
  content: AsyncIterable<Buffer>,
  { keepKinds, owner }: UnpackOptions,
): Promise<void> {
  if (path === target || path === '/') return
  using folder = await Folder.make(root, dirname(path))
  const name = basename(path)
  const place = folder.at(name)
  const isReady = await makeRoom(place, path, header.type === 'directory', keepKinds)
  if (header.type === 'directory') {
    if (!isReady) await mkdir(place, 0o700)
  } else if (header.type === 'symlink') await symlink(header.linkname ?? '', place)
  else if (header.type === 'link') await linkInto(root, target, header.linkname ?? '', place)
  else if (header.type === 'file' || header.type === 'contiguous-file') await writeFile(place, header, content, owner)
  else if (isSpecial(header)) await makeSpecial(place, header)
  else return
  // Of a hard link they are the other name's; of a file they are set while it is open.
  if (header.type === 'directory' || header.type === 'symlink' || isSpecial(header))
    await setMetadata(place, header, owner)
}

/** True: a directory is there already, for a directory. */
async function makeRoom(place: string, path: string, isDirectory: boolean, keepKinds: boolean): Promise<boolean> {
  const there = await lstat(place).catch(() => undefined)
  if (!there) return false
  if (there.isDirectory() && isDirectory) return true
  if (keepKinds && there.isDirectory()) throw badRequest(`cannot overwrite directory "${path}" with non-directory`)
  if (keepKinds && isDirectory) throw badRequest(`cannot overwrite non-directory "${path}" with directory`)
  await rm(place, { recursive: true, force: true })
  return false
}

async function linkInto(root: string, target: string, name: string, place: string): Promise<void> {
  const path = placeOf(target, name)
  using folder = await Folder.open(root, dirname(path))
  await link(folder.at(basename(path)), place)
}

type Owner = UnpackOptions['owner']

async function writeFile(place: string, header: Header, content: AsyncIterable<Buffer>, owner: Owner): Promise<void> {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW
  const file = await open(place, flags, 0o600)
  try {
    for await (const chunk of content) await file.write(chunk)
    const { uid = 0, gid = 0 } = owner ?? header
    await file.chown(uid, gid)
    await file.chmod((header.mode ?? 0o644) & 0o7777)
    if (header.mtime) await file.utimes(header.mtime, header.mtime)
  } finally {
    await file.close()
  }
}

const S_IFCHR = 0o020000
const S_IFBLK = 0o060000
const S_IFIFO = 0o010000

const isSpecial = ({ type }: Header) => type === 'fifo' || type === 'block-device' || type === 'character-device'

async function makeSpecial(place: string, { type, mode = 0o600, devmajor = 0, devminor = 0 }: Header): Promise<void> {
  const kind = type === 'fifo' ? S_IFIFO : type === 'block-device' ? S_IFBLK : S_IFCHR
  await mknod(place, kind | (mode & 0o7777), { major: devmajor ?? 0, minor: devminor ?? 0 })
}

async function setMetadata(place: string, header: Header, owner: Owner): Promise<void> {
  const { uid = 0, gid = 0 } = owner ?? header
  await lchown(place, uid, gid)
  if (header.type !== 'symlink') {
    await chown(place, uid, gid)
    await chmod(place, (header.mode ?? 0o755) & 0o7777)
  }
  if (header.mtime && header.type !== 'directory') await lutimes(place, header.mtime, header.mtime)
}
