/** Checks of what snapshots are called, and of what may be done to which. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type Bench, refused } from './bench.ts'
import { describeTree } from './tree-compare.ts'
import { applySteps, directory, file, remove } from './tree-steps.ts'

const first = [file('foo', 'foo\n', 0o777), directory('a'), directory('a/b'), directory('a/b/c')]
const second = [file('bar', 'bar\n', 0o777), file('foo', 'bar\n', 0o777), remove('a/b')]

export const lifecycleChecks: Record<string, (bench: Bench) => Promise<void>> = {
  'two layers from nothing to removal': async bench => {
    const { snapshotter: s } = bench
    const [flat, base, top, next] = [
      bench.directory(),
      ...['base', 'top', 'next'].map(name => join(bench.work, name)),
    ] as [string, string, string, string]
    await bench.layer(base, '', first)
    applySteps(flat, first)
    const baseInfo = await s.stat(base)
    assert.deepEqual([baseInfo.name, baseInfo.kind, baseInfo.parent], [base, 'committed', ''])

    const mounts = await s.prepare(next, base)
    const nextInfo = await s.stat(next)
    assert.deepEqual([nextInfo.name, nextInfo.kind, nextInfo.parent], [next, 'active', base])
    await bench.mounted(mounts, place => {
      assert.deepEqual(contents(place), contents(flat), 'a child shows what its parent holds')
      applySteps(place, second)
    })
    applySteps(flat, second)
    await s.commit(top, next)
    await refused('NOT_FOUND', s.stat(next))
    const topInfo = await s.stat(top)
    assert.deepEqual([topInfo.kind, topInfo.parent], ['committed', base])

    const listed = new Map((await bench.list()).map(info => [info.name, info]))
    assert.deepEqual(listed, new Map([baseInfo, topInfo].map(info => [info.name, info])), 'list and stat agree')

    await bench.viewed(top, place => assert.deepEqual(contents(place), contents(flat)))
    await refused('FAILED_PRECONDITION', s.remove(base), /remove/)
    await s.remove(top)
    await s.remove(base)
    assert.deepEqual(await bench.list(), [])
  },

  'an active snapshot is described': async bench => {
    await bench.snapshotter.prepare('key', '')
    const { name, kind, parent } = await bench.snapshotter.stat('key')
    assert.deepEqual({ name, kind, parent }, { name: 'key', kind: 'active', parent: '' })
  },

  'a committed snapshot is described': async bench => {
    await bench.layer('name', '')
    const { name, kind, parent } = await bench.snapshotter.stat('name')
    assert.deepEqual({ name, kind, parent }, { name: 'name', kind: 'committed', parent: '' })
  },

  'parents lead to the root': async bench => {
    await bench.layer('a', '', [file('foo', 'foo\n')])
    await bench.layer('b', 'a', [file('foo', 'foo bar\n')])
    const { parent } = await bench.snapshotter.stat('b')
    assert.equal(parent, 'a')
    assert.equal((await bench.snapshotter.stat(parent)).parent, '')
  },

  'a key is taken once, whatever the kinds': async bench => {
    const { snapshotter: s } = bench
    await bench.layer('base', '')
    await s.prepare('active', 'base')
    await s.view('view', 'base')
    for (const taken of ['active', 'view', 'base']) {
      await refused('ALREADY_EXISTS', s.prepare(taken, 'base'))
      await refused('ALREADY_EXISTS', s.view(taken, 'base'))
    }
  },

  'names are free again after removal': async bench => {
    const { snapshotter: s } = bench
    await bench.layer('layer', '')
    await s.prepare('again', 'layer')
    await s.remove('again')
    await s.view('again', 'layer')
    await s.remove('again')
    await s.prepare('again', '')
    await s.remove('layer')
    await s.commit('layer', 'again')
    assert.equal((await s.stat('layer')).parent, '')
  },

  'a snapshot others build on stays': async bench => {
    await bench.layer('base', '')
    await bench.layer('middle', 'base')
    await bench.snapshotter.prepare('top', 'middle')
    await refused('FAILED_PRECONDITION', bench.snapshotter.remove('middle'), /remove/)
    for (const name of ['top', 'middle', 'base']) await bench.snapshotter.remove(name)
  },

  'what is not there is NOT_FOUND': async bench => {
    const { snapshotter: s } = bench
    for (const verb of ['stat', 'mounts', 'usage', 'remove'] as const) await refused('NOT_FOUND', s[verb]('x'))
    await refused('NOT_FOUND', s.commit('y', 'x'))
    await refused('NOT_FOUND', s.update({ name: 'x', labels: {} }))
    await refused('NOT_FOUND', s.prepare('key', 'x'))
    await refused('NOT_FOUND', s.view('key', 'x'))
  },

  'only committed snapshots are parents': async bench => {
    await bench.snapshotter.prepare('active', '')
    await bench.snapshotter.view('view', '')
    for (const parent of ['active', 'view']) await refused('INVALID_ARGUMENT', bench.snapshotter.prepare('key', parent))
    await assert.rejects(bench.snapshotter.prepare('', ''), 'an empty key is none')
  },

  'only active snapshots are committed, to a free name': async bench => {
    const { snapshotter: s } = bench
    await bench.layer('base', '')
    await s.view('view', 'base')
    await assert.rejects(s.commit('name', 'view'), 'a view is never committed')
    await assert.rejects(s.commit('name', 'base'), 'nor is a committed one')
    await refused('NOT_FOUND', s.stat('name'))
    await s.prepare('active', 'base')
    await refused('ALREADY_EXISTS', s.commit('base', 'active'))
    assert.equal((await s.stat('active')).kind, 'active', 'a refused commit changes nothing')
  },

  'mounts are told again, not for a committed one': async bench => {
    const { snapshotter: s } = bench
    await bench.layer('base', '')
    assert.deepEqual(await s.prepare('active', 'base'), await s.mounts('active'))
    assert.deepEqual(await s.view('view', 'base'), await s.mounts('view'))
    await refused('FAILED_PRECONDITION', s.mounts('base'))
  },

  'a restart changes nothing': async bench => {
    await bench.layer('base', '', [file('kept', 'yes')])
    await bench.snapshotter.prepare('active', 'base', { labels: { 'containerd.io/snapshot/x': 'y' } })
    const before = await bench.list()
    const mounts = await bench.snapshotter.mounts('active')
    await bench.reopen()
    assert.deepEqual(await bench.list(), before)
    assert.deepEqual(await bench.snapshotter.mounts('active'), mounts)
    await bench.viewed('base', place => assert.ok('kept' in describeTree(place)))
    await bench.snapshotter.prepare('new', 'base')
    assert.notDeepEqual(await bench.snapshotter.mounts('new'), mounts, 'storage is never shared')
  },

  'closing twice is fine': async bench => {
    await bench.layer('base', '')
    await bench.snapshotter.remove('base')
    await bench.snapshotter.close()
    await bench.snapshotter.close()
  },
}

/** Without the root directory itself: a plain directory's mode is not what is checked here. */
function contents(root: string): Record<string, string> {
  const { '.': _root, ...rest } = describeTree(root)
  return rest
}
