/** Checks of what snapshotters may do in different ways. */
import assert from 'node:assert/strict'
import { type Bench, refused } from './bench.ts'
import { describeTree } from './tree-compare.ts'
import { file } from './tree-steps.ts'

export interface Traits {
  /** Capability `rebase`: a layer made on nothing can be put on a parent at commit. Default true; `unknown`: not judged. */
  rebases?: boolean | 'unknown'
  /** A child takes no space for what its parent holds. Default true. */
  sharesParents?: boolean
}

type Checks = Record<string, (bench: Bench) => Promise<void>>

export function traitChecks({ rebases = true, sharesParents = true }: Traits): Checks {
  const rebase = rebases === 'unknown' ? {} : rebases ? rebasing : noRebasing
  return { ...rebase, ...(sharesParents ? sharing : copying) }
}

const rebasing: Checks = {
  'commit can put a layer on a parent': async bench => {
    const { snapshotter: s } = bench
    await bench.layer('base', '', [file('low', '1')])
    await bench.layer('top', '', [file('high', '2')], { parent: 'base' })
    assert.equal((await s.stat('top')).parent, 'base')
    await bench.viewed('top', place => assert.deepEqual(Object.keys(describeTree(place)), ['.', 'high', 'low']))
    await refused('FAILED_PRECONDITION', s.remove('base'), /remove/)
    await s.prepare('other', 'base')
    await refused('INVALID_ARGUMENT', s.commit('never', 'other', { parent: 'top' }))
    await s.prepare('orphan', '')
    await refused('NOT_FOUND', s.commit('never', 'orphan', { parent: 'nobody' }))
  },
}

const noRebasing: Checks = {
  'a layer made on nothing cannot be put on a parent': async bench => {
    const { snapshotter: s } = bench
    await bench.layer('base', '')
    await s.prepare('alone', '')
    await refused('NOT_IMPLEMENTED', s.commit('never', 'alone', { parent: 'base' }), /prepare it on that parent/)
    assert.equal((await s.stat('alone')).kind, 'active')
    await s.prepare('child', 'base')
    await s.commit('top', 'child', { parent: 'base' })
    assert.equal((await s.stat('top')).parent, 'base')
  },
}

const sharing: Checks = {
  'usage counts a snapshot without its parents': async bench => {
    const s = bench.snapshotter
    await bench.layer('base', '', [file('big', 'x'.repeat(1 << 20))])
    const base = await s.usage('base')
    assert.ok(base.bytes >= 1 << 20 && base.bytes < 2 << 20, `${base.bytes} bytes`)
    const mounts = await s.prepare('child', 'base')
    const empty = await s.usage('child')
    assert.ok(empty.bytes < 1 << 19, `an untouched child takes ${empty.bytes} bytes`)
    await bench.mounted(mounts, place => file('more', 'y'.repeat(1 << 20))(place))
    assert.ok((await s.usage('child')).bytes >= 1 << 20, 'the figure of an active one is taken now')
  },
}

const copying: Checks = {
  'usage counts a whole tree': async bench => {
    const s = bench.snapshotter
    await bench.layer('base', '', [file('big', 'x'.repeat(1 << 20))])
    await s.prepare('child', 'base')
    for (const name of ['base', 'child']) {
      const { bytes, inodes } = await s.usage(name)
      assert.ok(bytes >= 1 << 20 && bytes < 2 << 20 && inodes === 2, `${name}: ${bytes} bytes, ${inodes} inodes`)
    }
  },
}
