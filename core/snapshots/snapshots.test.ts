import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { alreadyExists, unavailable } from '#api/errors/errors.ts'
import { createLogger } from '#api/log/log.ts'
import { openStore } from '#api/store/store.ts'
import { Exchange } from '#core/events/events.ts'
import { LeaseStore } from '#core/leases/leases.ts'
import { Metadata } from '#core/metadata/metadata.ts'
import { DirectorySnapshotter } from '../../test/conformance/directory-snapshotter.ts'
import { type NamespacedSnapshotter, SnapshotterFronts } from './snapshots.ts'

interface Room {
  front: NamespacedSnapshotter
  fronts: SnapshotterFronts
  leases: LeaseStore
  backend: DirectorySnapshotter
  /** The daemon dies and starts again; the backend stays as it is. */
  restart(): Promise<void>
  inBackend(): Promise<string[]>
}

async function inRoom(body: (room: Room) => Promise<void>): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), 'gantry-snapshots-'))
  const backend = new DirectorySnapshotter(root)
  const open = () => {
    const store = openStore(join(root, 'metadata'))
    const metadata = new Metadata(store)
    const logger = createLogger({ name: 'test', level: 'silent' })
    const options = { metadata, logger, events: new Exchange(), backends: { dir: async () => backend } }
    const fronts = new SnapshotterFronts(options)
    return { store, fronts, front: fronts.on('dir'), leases: new LeaseStore(metadata, async () => {}) }
  }
  let current = open()
  const room: Room = {
    ...current,
    backend,
    async restart() {
      await current.store.close()
      current = open()
      Object.assign(room, current)
    },
    async inBackend() {
      const names: string[] = []
      for await (const { name } of backend.list()) names.push(name.replace(/\/\d+\//, '/N/'))
      return names.toSorted()
    },
  }
  try {
    await body(room)
  } finally {
    await current.store.close()
    await rm(root, { recursive: true })
  }
}

async function names(front: NamespacedSnapshotter, ns: string, ...filters: string[]): Promise<string[]> {
  const found: string[] = []
  for await (const { name } of front.list(ns, filters)) found.push(name)
  return found
}

test('prepare, commit, build on it, look at it; listing agrees with stat', () =>
  inRoom(async ({ front }) => {
    const [mount] = await front.prepare('a', 'k1', '', { labels: { l: '1', empty: '' } })
    assert.equal(mount?.type, 'bind')
    const born = await front.stat('a', 'k1')
    assert.deepEqual(born.createdAt, born.updatedAt)
    assert.deepEqual(born.labels, { l: '1' })
    await front.commit('a', 'base', 'k1', { labels: { c: '2' } })
    await assert.rejects(front.stat('a', 'k1'), { message: 'snapshot k1 does not exist: not found' })
    await front.prepare('a', 'k2', 'base')
    await front.view('a', 'v', 'base')
    assert.deepEqual(await names(front, 'a', 'kind==active', 'kind==view'), ['k2', 'v'])
    assert.deepEqual(await names(front, 'a', 'parent==base,kind==view'), ['v'])
    assert.deepEqual(await names(front, 'a', 'parent!=""'), ['k2', 'v'])
    for await (const info of front.list('a')) assert.deepEqual(info, await front.stat('a', info.name))
    assert.deepEqual(await names(front, 'b'), [])
  }))

test('the rules of the protocol', () =>
  inRoom(async ({ front }) => {
    await front.prepare('a', 'k', '')
    await front.prepare('b', 'k', '')
    await assert.rejects(front.prepare('a', 'k', ''), { code: 'ALREADY_EXISTS' })
    await assert.rejects(front.view('a', 'k', ''), { code: 'ALREADY_EXISTS' })
    await assert.rejects(front.prepare('a', 'x', 'k'), {
      code: 'INVALID_ARGUMENT',
      message: /is not committed snapshot/,
    })
    await assert.rejects(front.prepare('a', 'x', 'none'), { message: 'parent snapshot none does not exist: not found' })
    await front.view('a', 'v', '')
    await assert.rejects(front.commit('a', 'n', 'v'), { code: 'FAILED_PRECONDITION' })
    await assert.rejects(front.commit('a', 'n', 'none'), { code: 'NOT_FOUND' })
    await front.commit('a', 'n', 'k')
    await front.prepare('a', 'k', 'n')
    await assert.rejects(front.commit('a', 'n', 'k'), { code: 'ALREADY_EXISTS' })
    await assert.rejects(front.mounts('a', 'n'), { code: 'FAILED_PRECONDITION' })
    await assert.rejects(front.remove('a', 'n'), { message: 'cannot remove snapshot with child: failed precondition' })
    await front.remove('a', 'k')
    await front.remove('a', 'n')
    await assert.rejects(front.remove('a', 'n'), { code: 'NOT_FOUND' })
  }))

test('labels change by mask; created stays, updated moves', () =>
  inRoom(async ({ front, backend }) => {
    await front.prepare('a', 'k', '', { labels: { l1: '1', l2: '2', l3: '3', 'containerd.io/snapshot/x': 'y' } })
    const before = await front.stat('a', 'k')
    const labels = { l1: 'one', l4: '4' }
    const after = await front.update('a', { name: 'k', labels }, ['labels.l1', 'labels.l2'])
    assert.deepEqual(after.labels, { l1: 'one', l3: '3', 'containerd.io/snapshot/x': 'y' })
    assert.deepEqual(after.createdAt, before.createdAt)
    assert.notDeepEqual(after.updatedAt, before.updatedAt)
    for await (const { labels } of backend.list()) assert.deepEqual(labels, { 'containerd.io/snapshot/x': 'y' })
    assert.deepEqual((await front.update('a', { name: 'k', labels: { z: '1' } })).labels, { z: '1' })
    await assert.rejects(front.update('a', { name: 'k', labels: {} }, ['parent']), {
      message: 'cannot update "parent" field on snapshot "k": invalid argument',
    })
  }))

test('a removed snapshot goes from the backend with the sweep, children first', () =>
  inRoom(async ({ front, fronts, inBackend }) => {
    await front.prepare('a', 'k', '')
    await front.commit('a', 'base', 'k')
    await front.prepare('a', 'child', 'base')
    await front.remove('a', 'child')
    await front.remove('a', 'base')
    assert.deepEqual(await inBackend(), ['a/N/base', 'a/N/child'])
    await fronts.sweep()
    assert.deepEqual(await inBackend(), [])
  }))

test('a sweep that knows what was removed does not look through the backend, until something is left over', () =>
  inRoom(async ({ front, fronts, backend, inBackend }) => {
    await front.prepare('a', 'kept', '')
    await fronts.sweep()
    const list = backend.list.bind(backend)
    let looks = 0
    backend.list = (...args) => {
      looks++
      return list(...args)
    }
    await front.prepare('a', 'one', '')
    await front.remove('a', 'one')
    assert.ok(fronts.isSweepDue('dir'))
    await fronts.sweep()
    assert.deepEqual([looks, fronts.isSweepDue('dir')], [0, false])
    assert.deepEqual(await inBackend(), ['a/N/kept'])
    await backend.prepare('a/9999/orphan', '', {})
    fronts.markDirty(['dir'])
    await fronts.sweep()
    assert.deepEqual(await inBackend(), ['a/N/kept'])
  }))

test('killed after the backend made a snapshot: it is swept', () =>
  inRoom(async room => {
    await room.front.prepare('a', 'kept', '')
    await room.backend.prepare('a/9999/orphan', '', {})
    await room.restart()
    assert.equal((await room.front.stat('a', 'kept')).kind, 'active')
    await room.fronts.sweep()
    assert.deepEqual(await room.inBackend(), ['a/N/kept'])
  }))

for (const reached of [true, false])
  test(`killed in a commit that ${reached ? 'reached' : 'did not reach'} the backend: the next use decides`, () =>
    inRoom(async room => {
      await room.front.prepare('a', 'k', '')
      const commit = room.backend.commit.bind(room.backend)
      // The daemon never sees an answer: as if it were killed while it waits.
      room.backend.commit = async (...args) => {
        if (reached) await commit(...args)
        return await new Promise<never>(() => {})
      }
      void room.front.commit('a', 'n', 'k')
      await new Promise(setImmediate)
      await new Promise(setImmediate)
      room.backend.commit = commit
      await room.restart()
      const found = await names(room.front, 'a')
      assert.deepEqual(found, [reached ? 'n' : 'k'])
      if (!reached) await room.front.commit('a', 'n', 'k')
      await room.fronts.sweep()
      assert.deepEqual(await room.inBackend(), ['a/N/n'])
    }))

test('an answer that got lost on the way is asked for', () =>
  inRoom(async ({ front, backend }) => {
    await front.prepare('a', 'k', '')
    const commit = backend.commit.bind(backend)
    backend.commit = async (...args) => {
      await commit(...args)
      throw unavailable('connection dropped')
    }
    await front.commit('a', 'n', 'k')
    assert.equal((await front.stat('a', 'n')).kind, 'committed')
  }))

test('two commits to one name: the second waits for the first, then learns that it exists', () =>
  inRoom(async ({ front, fronts, inBackend }) => {
    await front.prepare('a', 'k1', '')
    await front.prepare('a', 'k2', '')
    const outcomes = await Promise.allSettled([front.commit('a', 'n', 'k1'), front.commit('a', 'n', 'k2')])
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ['fulfilled', 'rejected'],
    )
    await front.remove('a', 'k2')
    await fronts.sweep()
    assert.deepEqual(await inBackend(), ['a/N/n'])
  }))

test('a lease holds the key, then the name', () =>
  inRoom(async ({ front, leases, inBackend }) => {
    await leases.create('a', { id: 'l' })
    await front.prepare('a', 'k', '', { lease: 'l' })
    assert.deepEqual(await leases.listResources('a', 'l'), [{ type: 'snapshots/dir', id: 'k' }])
    await front.commit('a', 'n', 'k', { lease: 'l' })
    assert.deepEqual(await leases.listResources('a', 'l'), [{ type: 'snapshots/dir', id: 'n' }])
    await assert.rejects(front.prepare('a', 'x', '', { lease: 'none' }), {
      message: 'lease does not exist: not found',
    })
    assert.deepEqual(await inBackend(), ['a/N/n'])
  }))

test('a remote snapshotter provides the layer: recorded under its name, and the caller is told', () =>
  inRoom(async ({ front, backend }) => {
    const prepare = backend.prepare.bind(backend)
    backend.prepare = async (key, parent, labels) => {
      const target = labels['containerd.io/snapshot.ref']
      if (target === undefined) return await prepare(key, parent, labels)
      await prepare(key, parent, labels)
      await backend.commit(`remote-${target}`, key, { labels, parent: '' })
      throw alreadyExists(`target snapshot ${target}`)
    }
    const labels = { 'containerd.io/snapshot.ref': 'sha256:layer', other: 'x' }
    await assert.rejects(front.prepare('a', 'extract', '', { labels }), {
      message: 'target snapshot "sha256:layer" from snapshotter: already exists',
    })
    const { kind, labels: recorded } = await front.stat('a', 'sha256:layer')
    assert.deepEqual([kind, recorded.other], ['committed', 'x'])
    await front.prepare('a', 'next', 'sha256:layer')
    await assert.rejects(front.prepare('a', 'again', '', { labels }), {
      message: 'target snapshot "sha256:layer": already exists',
    })
    backend.prepare = async () => {
      throw alreadyExists('for no reason')
    }
    await assert.rejects(front.prepare('a', 'odd', ''), { code: 'UNKNOWN' })
  }))
