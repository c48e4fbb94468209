import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createLogger } from '#api/log/log.ts'
import { openStore } from '#api/store/store.ts'
import { mount, unmount } from '#api/sys/sys.ts'
import type { Mount } from '#api/types/mount.ts'
import { LocalContentStore } from '#core/content/content.ts'
import { Exchange } from '#core/events/events.ts'
import { GarbageCollector } from '#core/gc/gc.ts'
import { LeaseStore } from '#core/leases/leases.ts'
import { Metadata } from '#core/metadata/metadata.ts'
import { SnapshotterFronts } from '#core/snapshots/snapshots.ts'
import { MountManager } from './mounts.ts'

const options = { skip: process.getuid?.() !== 0 && 'needs root' }
const ns = 'n'

async function open() {
  const root = await mkdtemp(join(tmpdir(), 'gantry-mounts-'))
  const store = openStore(join(root, 'metadata'))
  const metadata = new Metadata(store)
  const events = new Exchange()
  const logger = createLogger({ name: 'test', level: 'silent' })
  await mkdir(join(root, 'lib'))
  const reopen = () => MountManager.open({ metadata, folder: join(root, 'm'), roots: [join(root, 'lib')], logger })
  const mounts = await reopen()
  const content = await LocalContentStore.open(join(root, 'content'), metadata, events)
  const snapshots = new SnapshotterFronts({ metadata, events, logger, backends: {} })
  const gc = new GarbageCollector({ metadata, events, logger, content, snapshots, mounts })
  return {
    root,
    mounts,
    reopen,
    gc,
    leases: new LeaseStore(metadata, () => gc.collect()),
    mounted: async () =>
      (await readFile('/proc/self/mountinfo', 'utf8')).split('\n').filter(line => line.includes(root)).length,
    folders: () => readdir(join(root, 'm')),
    async [Symbol.asyncDispose]() {
      for (const { name } of await mounts.list(ns)) await mounts.deactivate(ns, name)
      await store.close()
      assert.deepEqual(await readdir(join(root, 'm')), [])
      await rm(root, { recursive: true })
    },
  }
}

const tmpfs: Mount = { type: 'tmpfs', source: 'tmpfs', target: '', options: ['mode=755'] }
const overlay = (options: string[]): Mount => ({ type: 'format/overlay', source: 'overlay', target: '', options })

test("layers are mounted here, the overlay over them is the caller's", options, async () => {
  await using room = await open()
  const { mounts } = room
  const info = await mounts.activate(ns, 'view', [tmpfs, tmpfs, overlay(['lowerdir={{ overlay 1 0 }}'])], {
    labels: { l: '1' },
  })
  const points = info.active.map(({ mountPoint }) => mountPoint)
  assert.equal(points.length, 2)
  await writeFile(join(points[0] ?? '', 'below'), 'x')
  await writeFile(join(points[1] ?? '', 'above'), 'x')
  assert.deepEqual(info.system, [
    { type: 'overlay', source: 'overlay', target: '', options: [`lowerdir=${points[1]}:${points[0]}`] },
  ])
  const target = join(room.root, 'target')
  await mkdir(target)
  await mount([...info.system], target)
  assert.deepEqual((await readdir(target)).toSorted(), ['above', 'below'])
  await unmount(target)
  assert.deepEqual(await mounts.info(ns, 'view'), info)
  assert.deepEqual(await mounts.list(ns, ['labels.l==1']), [info])
  assert.deepEqual(await mounts.list(ns, ['name==other']), [])
  await assert.rejects(mounts.activate(ns, 'view', [tmpfs, overlay([])]), {
    code: 'ALREADY_EXISTS',
    message: 'mount "view": already exists',
  })
  const changed = await mounts.update(ns, { name: 'view', labels: { m: '2' } }, ['labels.m'])
  assert.deepEqual(changed.labels, { l: '1', m: '2' })
  await mounts.deactivate(ns, 'view')
  assert.equal(await room.mounted(), 0)
  await assert.rejects(mounts.info(ns, 'view'), { code: 'NOT_FOUND' })
  await assert.rejects(mounts.deactivate(ns, 'view'), { code: 'NOT_FOUND' })
})

test('a temporary one is mounted whole, with a bind mount to use it by', options, async () => {
  await using room = await open()
  const { active, system } = await room.mounts.activate(ns, 'whole', [tmpfs], { temporary: true })
  assert.deepEqual(system, [{ type: 'bind', source: active[0]?.mountPoint, target: '', options: ['rbind'] }])
})

test('what needs no daemon, and what this one cannot do', options, async () => {
  await using room = await open()
  const { mounts } = room
  const refused = (list: Mount[], code: string) => assert.rejects(mounts.activate(ns, 'x', list), { code })
  await refused([tmpfs], 'NOT_IMPLEMENTED')
  await refused([], 'NOT_IMPLEMENTED')
  await refused([{ ...tmpfs, type: 'mkfs/ext4' }], 'NOT_IMPLEMENTED')
  await refused([tmpfs, overlay(['lowerdir={{ mount 1 }}'])], 'INVALID_ARGUMENT')
  await refused([tmpfs, overlay(['lowerdir={{ exec "x" }}'])], 'INVALID_ARGUMENT')
  await refused([{ ...tmpfs, type: 'no-such-fs' }, overlay([])], 'INTERNAL').catch(() =>
    assert.rejects(mounts.activate(ns, 'x', [{ ...tmpfs, type: 'no-such-fs' }, overlay([])])),
  )
  assert.deepEqual([await mounts.list(ns), await room.mounted(), await room.folders()], [[], 0, []])
})

test("mkdir makes folders below the daemon's own, and nowhere else", options, async () => {
  await using room = await open()
  const { mounts, root } = room
  const making = (path: string) => [
    { type: 'mkdir/bind', source: root, target: '', options: ['rbind', `X-containerd.mkdir.path=${path}`] },
  ]
  const { system } = await mounts.activate(ns, 'made', making(`${root}/lib/new:750`))
  assert.deepEqual(system[0]?.options, ['rbind'])
  assert.ok(existsSync(join(root, 'lib/new')))
  await symlink('/tmp', join(root, 'lib/out'))
  for (const path of [`${root}/outside`, `${root}/lib/../outside`, `${root}/lib/out/x`, '/etc/gantry-test-x'])
    await assert.rejects(mounts.activate(ns, 'escape', making(path)), path)
  assert.ok(!existsSync(join(root, 'outside')))
})

test('garbage collection undoes what neither a lease nor a label keeps', options, async () => {
  await using room = await open()
  const { mounts, leases, gc } = room
  await leases.create(ns, { id: 'l' })
  await mounts.activate(ns, 'leased', [tmpfs], { temporary: true, lease: 'l' })
  await mounts.activate(ns, 'loose', [tmpfs], { temporary: true })
  await assert.rejects(mounts.activate(ns, 'x', [tmpfs], { temporary: true, lease: 'none' }), { code: 'NOT_FOUND' })
  await gc.collect()
  assert.deepEqual(
    (await mounts.list(ns)).map(({ name }) => name),
    ['leased'],
  )
  assert.equal(await room.mounted(), 1)
  await leases.delete(ns, 'l', { sync: true })
  assert.deepEqual([await mounts.list(ns), await room.mounted()], [[], 0])
})

test('after a reboot the records go', options, async () => {
  await using room = await open()
  const { active } = await room.mounts.activate(ns, 'stays', [tmpfs], { temporary: true })
  assert.equal((await (await room.reopen()).list(ns)).length, 1)
  await unmount(active[0]?.mountPoint ?? '')
  const again = await room.reopen()
  assert.deepEqual(await again.list(ns), [])
  await again.sweep()
  assert.deepEqual(await room.folders(), [])
})
