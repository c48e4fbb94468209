import assert from 'node:assert/strict'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fillVolume, resolveInRoot } from './fill.ts'
import { checkOptions, mountOf, withoutPasswords } from './local-options.ts'
import { VolumeStore } from './volume-record.ts'

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'volume-'))
  try {
    await body(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function volumeAndRoot(folder: string): Promise<{ volume: string; root: string }> {
  const [volume, root] = [join(folder, 'volume'), join(folder, 'root')]
  for (const path of [join(volume, '_data'), join(root, 'srv/data')]) await mkdir(path, { recursive: true })
  return { volume, root }
}

test('an empty volume gets what the image has, with its modes', () =>
  inFolder(async folder => {
    const { volume, root } = await volumeAndRoot(folder)
    await writeFile(join(root, 'srv/data/file'), 'of the image', { mode: 0o640 })
    await chmod(join(root, 'srv/data'), 0o1777)
    await fillVolume(volume, root, '/srv/data')
    assert.equal(await readFile(join(volume, '_data/file'), 'utf8'), 'of the image')
    assert.equal((await stat(join(volume, '_data'))).mode & 0o7777, 0o1777)
    assert.deepEqual(await readdir(volume), ['_data'])
  }))

test('a volume that holds something is left alone', () =>
  inFolder(async folder => {
    const { volume, root } = await volumeAndRoot(folder)
    await writeFile(join(root, 'srv/data/file'), 'of the image')
    await writeFile(join(volume, '_data/mine'), '')
    await fillVolume(volume, root, '/srv/data')
    assert.deepEqual(await readdir(join(volume, '_data')), ['mine'])
  }))

test('links of the image are followed inside its root alone', () =>
  inFolder(async folder => {
    const { root } = await volumeAndRoot(folder)
    await symlink('/srv', join(root, 'absolute'))
    await symlink('../../../..', join(root, 'srv/up'))
    await symlink('loop', join(root, 'loop'))
    assert.equal(await resolveInRoot(root, '/absolute/data'), join(root, 'srv/data'))
    assert.equal(await resolveInRoot(root, '/srv/up/srv/data'), join(root, 'srv/data'))
    assert.equal(await resolveInRoot(root, '/../../srv'), join(root, 'srv'))
    assert.equal(await resolveInRoot(root, '/loop/x'), undefined)
    assert.equal(await resolveInRoot(root, '/nosuch'), undefined)
  }))

test('a volume is its record: what has none is swept', () =>
  inFolder(async folder => {
    const store = new VolumeStore(folder)
    const record = {
      name: 'kept',
      driver: 'local',
      options: null,
      labels: { a: 'b' },
      createdAt: '2026-11-21T00:00:00Z',
    }
    await store.put(record)
    await mkdir(join(folder, 'volumes/half/_data'), { recursive: true })
    await store.sweep()
    assert.deepEqual(await store.list(), [record])
    assert.deepEqual(await readdir(join(folder, 'volumes')), ['kept'])
    await store.remove('kept')
    assert.deepEqual(await store.list(), [])
  }))

test('options of the local driver are those of mount(8)', async () => {
  assert.deepEqual(await mountOf({ type: 'none', o: 'bind,ro', device: '/srv' }), {
    type: 'bind',
    source: '/srv',
    target: '',
    options: ['bind', 'ro'],
  })
  const share = await mountOf({ type: 'nfs', o: 'addr=localhost,rw', device: ':/export' })
  assert.match(share.options[0] ?? '', /^addr=(127\.0\.0\.1|::1)$/)
  assert.throws(() => checkOptions({ colour: 'red' }), { status: 400, message: 'invalid option: "colour"' })
  assert.throws(() => checkOptions({ o: 'bind' }), { status: 400, message: /missing required option: "device"/ })
  assert.equal(withoutPasswords('mount: user=a,password=secret,rw'), 'mount: user=a,password=********,rw')
})
