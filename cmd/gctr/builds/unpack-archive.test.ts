/** Archives as folders: what they hold, and what must not get out. */
import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, readlink, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { type Header, pack } from 'tar-stream'
import { unpackArchive } from './unpack-archive.ts'

type TarEntry = Partial<Header> & { name: string; body?: string }

async function unpacked(entries: readonly TarEntry[], body: (folder: string) => Promise<void>) {
  const outer = await mkdtemp(join(tmpdir(), 'gantry-unpack-'))
  try {
    const tar = pack()
    for (const { body: content = '', ...header } of entries) tar.entry(header, content)
    tar.finalize()
    await unpackArchive(tar as AsyncIterable<Buffer>, join(outer, 'inside')).finally(async () => {
      assert.deepEqual(await readdir(outer), ['inside'])
    })
    await body(join(outer, 'inside'))
  } finally {
    await rm(outer, { recursive: true })
  }
}

const nothing = async () => {}

test('modes, times and links are as in the archive', async () => {
  const mtime = new Date(1_600_000_000_000)
  const entries: TarEntry[] = [
    { name: 'a', mode: 0o4751, mtime, body: 'A' },
    { name: 'b', type: 'link', linkname: 'a' },
    { name: 'up', type: 'symlink', linkname: '../../etc' },
    { name: 'abs', type: 'symlink', linkname: '/etc' },
    { name: 'null', type: 'character-device', devmajor: 1, devminor: 3 },
  ]
  await unpacked(entries, async folder => {
    const a = await stat(join(folder, 'a'))
    assert.equal(a.mode & 0o7777, 0o4751)
    assert.equal(a.mtimeMs, mtime.getTime())
    assert.equal((await stat(join(folder, 'b'))).ino, a.ino)
    assert.equal(await readlink(join(folder, 'up')), '../../etc')
    assert.equal(await readlink(join(folder, 'abs')), '/etc')
    assert.equal(await readFile(join(folder, 'a'), 'utf8'), 'A')
    assert.deepEqual((await readdir(folder)).toSorted(), ['a', 'abs', 'b', 'up'])
  })
})

test('an entry that would get out of the folder is refused', async () => {
  const hostile: TarEntry[][] = [
    [{ name: '../out' }],
    [{ name: '/tmp/out' }],
    [{ name: 'dir/../../out' }],
    [{ name: 'up', type: 'symlink', linkname: '..' }, { name: 'up/out' }],
    [{ name: './up', type: 'symlink', linkname: '..' }, { name: 'up/deeper/out' }],
    [{ name: 'hard', type: 'link', linkname: '../../etc/passwd' }],
    [
      { name: 'up', type: 'symlink', linkname: '..' },
      { name: 'hard', type: 'link', linkname: 'up/x' },
    ],
  ]
  for (const entries of hostile)
    await assert.rejects(unpacked(entries, nothing), { message: /leads out of the folder/ })
})
