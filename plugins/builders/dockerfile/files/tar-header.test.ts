import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { link, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { layerArchive } from '../steps/copy-archive.ts'
import { selectEntries } from '../steps/select-sources.ts'
import { readTar, type TarEntry } from './read-tar.ts'
import { descend, type Entry } from './source-tree.ts'
import { encodeHeader, xattrsOf } from './tar-header.ts'
import { TarSource } from './tar-source.ts'

const long = `${'d'.repeat(90)}/${'e'.repeat(90)}/${'f'.repeat(120)}`

async function scratch(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'tar-header-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) }
}

/** Files with names and links that a plain header has no room for. */
async function oddFiles(folder: string): Promise<void> {
  await mkdir(join(folder, long, '..'), { recursive: true })
  await writeFile(join(folder, long), 'long')
  await writeFile(join(folder, 'größe'), 'x'.repeat(513))
  await link(join(folder, 'größe'), join(folder, 'other name'))
  await symlink(`/${long}/${'g'.repeat(60)}`, join(folder, 'link'))
  await writeFile(join(folder, 'empty'), '')
}

test('archives of GNU tar are read in each of its formats, a byte at a time as well', async () => {
  await using folder = await scratch()
  await oddFiles(folder.path)
  for (const format of ['gnu', 'posix']) {
    const archive = execFileSync('tar', ['-C', folder.path, `--format=${format}`, '--sort=name', '-cf', '-', '.'])
    for (const size of [archive.length, 511]) {
      const chunks = Array.from({ length: Math.ceil(archive.length / size) }, (_, at) =>
        archive.subarray(at * size, (at + 1) * size),
      )
      await using place = await scratch()
      const tree = await TarSource.receive(Readable.from(chunks), join(place.path, 'contents'))
      const seen: string[] = []
      for await (const { path, type, size: bytes, linkTarget } of descend(tree, '/'))
        if (type !== 'directory') seen.push(`${path} ${bytes} ${linkTarget}`.trim())
      const target = `/${long}/${'g'.repeat(60)}`
      assert.deepEqual(
        seen.toSorted(),
        [`/${long} 4`, '/empty 0', `/größe 513`, `/link 0 ${target}`, '/other name 513'].toSorted(),
      )
      const [one, other] = await Promise.all([tree.at('/größe'), tree.at('/other name')])
      assert.ok(one?.inode !== undefined && one.inode === other?.inode)
    }
  }
})

test('GNU tar reads what we write: long names, links, names of one file', async () => {
  await using folder = await scratch()
  await oddFiles(folder.path)
  const archive = execFileSync('tar', ['-C', folder.path, '-cf', '-', '.'])
  const tree = await TarSource.receive(Readable.from([archive]), join(folder.path, '.contents'))
  const written = Buffer.concat(await Readable.from(layerArchive(await selectEntries(tree, '/'))).toArray())
  await using place = await scratch()
  execFileSync('tar', ['-C', place.path, '-xf', '-'], { input: written })
  const listing = (path: string) =>
    execFileSync('find', [path, '-not', '-name', '.contents', '-printf', '%P %y %n %l\n'], { encoding: 'utf8' })
      .split('\n')
      .filter(line => !/^ ?d/.test(line) && !/ d \d+ $/.test(line))
      .toSorted()
  assert.deepEqual(listing(place.path), listing(folder.path))
})

test('extended attributes are bytes, whatever they are', async () => {
  const value = Buffer.from([1, 0, 0, 2, 0x80, 0xff, 0x0a, 0x3d])
  const none = { linkTarget: '', deviceMajor: 0, deviceMinor: 0, uid: 3_000_000, gid: 0, mtime: new Date(0) }
  const xattrs = new Map([['security.capability', value]])
  const entry: Entry = { path: '/f', type: 'file', mode: 0o755, size: 0, ...none, xattrs }
  const [read] = await Readable.from(readTar(Readable.from([encodeHeader(entry)]))).toArray()
  const { header, records } = read as TarEntry
  assert.deepEqual([header.path, header.uid, header.mode], ['f', 3_000_000, 0o755])
  assert.deepEqual(xattrsOf(records), xattrs)
})
