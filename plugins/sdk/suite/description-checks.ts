/** Checks of labels, times, filters and figures. */
import assert from 'node:assert/strict'
import { isGantryError } from '#api/errors/errors.ts'
import type { Timestamp } from '#api/gen/google/protobuf/timestamp.ts'
import { now } from '#api/types/clock.ts'
import { type Bench, refused } from './bench.ts'
import { file } from './tree-steps.ts'

const ns = ({ seconds, nanos }: Timestamp) => seconds * 1_000_000_000n + BigInt(nanos)

/** Of each kind, one with and one without a parent: `[name, kind, parent]`. */
async function oneOfEach({ snapshotter: s }: Bench): Promise<[string, string, string][]> {
  await s.prepare('c1-key', '')
  await s.commit('c1', 'c1-key')
  await s.prepare('c2-key', 'c1')
  await s.commit('c2', 'c2-key')
  await s.prepare('a1', 'c2')
  await s.prepare('a2', '')
  await s.view('v1', 'c2')
  await s.view('v2', '')
  return [
    ['c1', 'committed', ''],
    ['c2', 'committed', 'c1'],
    ['a1', 'active', 'c2'],
    ['a2', 'active', ''],
    ['v1', 'view', 'c2'],
    ['v2', 'view', ''],
  ]
}

/** Optional in containerd's contract: there need be nothing to free. */
async function cleanUp({ snapshotter }: Bench): Promise<void> {
  await snapshotter.cleanup().catch((error: unknown) => {
    if (!isGantryError(error, 'NOT_IMPLEMENTED')) throw error
  })
}

export const descriptionChecks: Record<string, (bench: Bench) => Promise<void>> = {
  'times tell birth and last change': async bench => {
    const before = ns(now())
    const all = await oneOfEach(bench)
    const after = ns(now())
    for (const [name] of all) {
      const { createdAt, updatedAt } = await bench.snapshotter.stat(name)
      assert.ok(ns(createdAt) >= before && ns(createdAt) <= after, `${name} was born during its call`)
      assert.deepEqual(createdAt, updatedAt)
      const changing = ns(now())
      const changed = await bench.snapshotter.update({ name, labels: { l: 'v' } })
      assert.deepEqual(changed.createdAt, createdAt)
      assert.ok(ns(changed.updatedAt) >= changing && ns(changed.updatedAt) <= ns(now()))
      assert.deepEqual(await bench.snapshotter.stat(name), changed)
    }
  },

  'update changes labels and nothing else': async bench => {
    const s = bench.snapshotter
    for (const [name, kind, parent] of await oneOfEach(bench)) {
      const asked = { name, parent: 'does-not-exist', kind: 'view', labels: { l1: 'v1', l2: 'v2', l3: 'v3' } }
      const whole = await s.update(asked)
      assert.deepEqual([whole.name, whole.kind, whole.parent], [name, kind, parent])
      assert.deepEqual(whole.labels, asked.labels)
      assert.deepEqual((await s.update({ name, labels: { l5: 'v5' } })).labels, { l5: 'v5' }, 'all are replaced')
      await s.update(asked)
      const some = await s.update({ name, labels: { l1: 'new', l4: 'v4' } }, ['labels.l1', 'labels.l2'])
      assert.deepEqual(some.labels, { l1: 'new', l3: 'v3' })
      assert.deepEqual((await s.update({ name, labels: { l4: 'v4' } }, ['labels'])).labels, { l4: 'v4' })
      await refused('INVALID_ARGUMENT', s.update({ name, labels: {} }, ['parent']), /parent/)
      assert.deepEqual((await s.stat(name)).labels, { l4: 'v4' })
    }
  },

  'commit takes its own labels': async bench => {
    await bench.snapshotter.prepare('key', '', { labels: { of: 'active' } })
    await bench.snapshotter.commit('name', 'key', { labels: { of: 'committed' } })
    assert.deepEqual((await bench.snapshotter.stat('name')).labels, { of: 'committed' })
  },

  'filters choose': async bench => {
    const s = bench.snapshotter
    const root = { 'containerd.io/gc.root': 'here' }
    await s.prepare('a-np', '', { labels: root })
    await bench.layer('p', '', [], { labels: root })
    await s.prepare('a', 'p', { labels: root })
    await s.view('v', 'p', { labels: root })
    await bench.layer('p-l', '', [], { labels: { ...root, l: '1' } })
    await s.prepare('a-l', 'p-l', { labels: { ...root, l: '2' } })
    await s.view('v-l', 'p-l', { labels: { ...root, l: '3' } })
    await s.prepare('a-np-l', '', { labels: { ...root, l: '2' } })
    const isRoot = 'labels."containerd.io/gc.root"==here'
    const expected: [string[], string[]][] = [
      [[], ['a', 'a-l', 'a-np', 'a-np-l', 'p', 'p-l', 'v', 'v-l']],
      [[isRoot], ['a', 'a-l', 'a-np', 'a-np-l', 'p', 'p-l', 'v', 'v-l']],
      [[`kind==active,${isRoot}`], ['a', 'a-l', 'a-np', 'a-np-l']],
      [[`kind==view,${isRoot}`], ['v', 'v-l']],
      [['kind==committed'], ['p', 'p-l']],
      [
        ['name==p', 'name==a-np-l'],
        ['a-np-l', 'p'],
      ],
      [['name==a-l,labels.l'], ['a-l']],
      [['parent==p'], ['a', 'v']],
      [[`parent!="",${isRoot}`], ['a', 'a-l', 'v', 'v-l']],
      [['labels.l'], ['a-l', 'a-np-l', 'p-l', 'v-l']],
      [['labels.l==2'], ['a-l', 'a-np-l']],
      [['name~="^a-"'], ['a-l', 'a-np', 'a-np-l']],
    ]
    for (const [filters, names] of expected)
      assert.deepEqual((await bench.list(filters)).map(info => info.name).sort(), names, filters.join(' or '))
    await assert.rejects(bench.list(['name==']), 'a filter that cannot be read')
  },

  'stat works inside a list': async bench => {
    await oneOfEach(bench)
    await bench.snapshotter.update({ name: 'a1', labels: { told: 'by both' } })
    let seen = 0
    for await (const info of bench.snapshotter.list()) {
      assert.deepEqual(await bench.snapshotter.stat(info.name), info)
      seen++
    }
    assert.equal(seen, 6)
  },

  'long lists are whole': async bench => {
    const names = Array.from({ length: 250 }, (_, index) => `key-${index}`)
    for (const name of names) await bench.snapshotter.prepare(name, '')
    assert.deepEqual((await bench.list()).map(info => info.name).sort(), names.sort())
  },

  'cleanup frees nothing that lives': async bench => {
    await bench.layer('base', '', [file('kept', 'yes')])
    await bench.snapshotter.prepare('dead', 'base')
    await bench.snapshotter.remove('dead')
    const mounts = await bench.snapshotter.prepare('alive', 'base')
    for (let times = 0; times < 2; times++) await cleanUp(bench)
    await bench.viewed('base', () => undefined)
    assert.deepEqual(await bench.snapshotter.mounts('alive'), mounts)
  },
}
