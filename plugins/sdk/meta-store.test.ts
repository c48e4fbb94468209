import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { openStore } from '#api/store/store.ts'
import { type MetaStore, openMetaStore } from './meta-store.ts'

const none = { bytes: 0, inodes: 0 }

async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const home = await mkdtemp(join(tmpdir(), 'gantry-meta-'))
  try {
    await body(join(home, 'metadata'))
  } finally {
    await rm(home, { recursive: true, force: true })
  }
}

const withStore = (body: (store: MetaStore) => void | Promise<void>) =>
  withFolder(async folder => {
    const store = openMetaStore(folder)
    try {
      await body(store)
    } finally {
      await store.close()
    }
  })

test('the words of containerd', () =>
  withStore(store => {
    store.create({ kind: 'active', key: 'a', parent: '' })
    store.create({ kind: 'view', key: 'v', parent: '' })
    const says = (call: () => unknown, code: string, message: string) => assert.throws(call, { code, message })
    says(() => store.get('x'), 'NOT_FOUND', 'snapshot x does not exist: not found')
    says(
      () => store.create({ kind: 'active', key: 'a', parent: '' }),
      'ALREADY_EXISTS',
      'failed to create snapshot: snapshot a: already exists',
    )
    says(
      () => store.create({ kind: 'active', key: 'b', parent: 'a' }),
      'INVALID_ARGUMENT',
      'failed to create snapshot: parent "a" is not committed snapshot: invalid argument',
    )
    says(
      () => store.commit('c', 'v', none),
      'FAILED_PRECONDITION',
      'failed to commit snapshot: snapshot "v" is not active: failed precondition',
    )
    store.commit('c', 'a', none)
    says(
      () => store.mountable('c'),
      'FAILED_PRECONDITION',
      'failed to get active mount: requested snapshot c not active or view: failed precondition',
    )
    store.create({ kind: 'active', key: 'd', parent: 'c' })
    says(
      () => store.remove('c'),
      'FAILED_PRECONDITION',
      'failed to remove snapshot c: cannot remove snapshot with child: failed precondition',
    )
    says(
      () => store.update({ name: 'c', labels: {} }, ['parent']),
      'INVALID_ARGUMENT',
      'cannot update "parent" field on snapshot "c": invalid argument',
    )
  }))

test('ancestors are told parent first, through commits and rebases', () =>
  withStore(store => {
    const [one, two] = ['one', 'two'].map(name => {
      const { id } = store.create({ kind: 'active', key: `${name}-key`, parent: name === 'two' ? 'one' : '' })
      store.commit(name, `${name}-key`, none)
      return id
    })
    assert.deepEqual(store.create({ kind: 'view', key: 'v', parent: 'two' }).parentIds, [two, one])
    store.create({ kind: 'active', key: 'late', parent: '' })
    assert.deepEqual(store.commit('late-done', 'late', none, { parent: 'two' }).parentIds, [two, one])
    for (const name of ['v', 'late-done', 'two', 'one']) store.remove(name)
    assert.deepEqual([...store.ids()], [])
  }))

test('what is planned and not recorded is nothing, and its number is not used again', () =>
  withStore(store => {
    const planned = store.plan({ kind: 'active', key: 'a', parent: '' })
    assert.throws(() => store.get('a'), { code: 'NOT_FOUND' })
    assert.deepEqual([...store.ids()], [])
    assert.ok(store.create({ kind: 'active', key: 'a', parent: '' }).id > planned.id)
    assert.throws(() => store.record(planned), { code: 'ALREADY_EXISTS' })
  }))

test('what is recorded has the parent it was planned on', () =>
  withStore(store => {
    const makeBase = () => {
      store.create({ kind: 'active', key: 'base-key', parent: '' })
      store.commit('base', 'base-key', none)
    }
    makeBase()
    const planned = store.plan({ kind: 'active', key: 'a', parent: 'base' })
    store.remove('base')
    assert.throws(() => store.record(planned), { code: 'NOT_FOUND' })
    makeBase()
    assert.throws(() => store.record(planned), { code: 'ABORTED' })
    assert.throws(() => store.checkCommit('x', 'a'), { code: 'NOT_FOUND' })
  }))

test('numbers are never reused, across removals and restarts', () =>
  withFolder(async folder => {
    const seen = new Set<number>()
    for (let start = 0; start < 4; start++) {
      const store = openMetaStore(folder)
      for (let index = 0; index < 70; index++) {
        const { id } = store.create({ kind: 'active', key: 'k', parent: '' })
        assert.ok(!seen.has(id), `${id} twice`)
        seen.add(id)
        store.remove('k')
      }
      await store.close()
    }
  }))

test('keys are bounded and opaque', () =>
  withStore(store => {
    for (const key of ['/a/../b', 'ns/1/sha256:00', 'a'.repeat(1024), '日本', ' ']) {
      store.create({ kind: 'active', key, parent: '' })
      assert.equal(store.get(key).info.name, key)
    }
    for (const key of ['', 'a'.repeat(1025), 'nul\0'])
      assert.throws(() => store.create({ kind: 'active', key, parent: '' }), { code: 'INVALID_ARGUMENT' })
    assert.throws(() => store.create({ kind: 'active', key: 'l', parent: '', labels: { k: 'v'.repeat(4096) } }), {
      code: 'INVALID_ARGUMENT',
    })
  }))

test('metadata of a newer version is left alone', () =>
  withFolder(async folder => {
    const raw = openStore(folder)
    raw.write(tx => tx.put(['version'], 2))
    await raw.close()
    assert.throws(() => openMetaStore(folder), {
      code: 'FAILED_PRECONDITION',
      message: /has layout 2, this version knows up to 1/,
    })
  }))
