/** Checks of what Gantry's contract asks of a snapshotter and containerd's does not: containerd's own ones differ here. */
import assert from 'node:assert/strict'
import { statSync } from 'node:fs'
import { type Bench, refused } from './bench.ts'
import { describeTree } from './tree-compare.ts'
import { directory, file, rename } from './tree-steps.ts'

export const ownChecks: Record<string, (bench: Bench) => Promise<void>> = {
  'an empty key is INVALID_ARGUMENT': async bench => {
    await refused('INVALID_ARGUMENT', bench.snapshotter.prepare('', ''))
  },

  'a filter that cannot be read is INVALID_ARGUMENT': async bench => {
    await refused('INVALID_ARGUMENT', bench.list(['name==']))
  },

  'a commit of what is not active is FAILED_PRECONDITION': async bench => {
    await bench.layer('base', '')
    await bench.snapshotter.view('view', 'base')
    await refused('FAILED_PRECONDITION', bench.snapshotter.commit('name', 'view'))
    await refused('FAILED_PRECONDITION', bench.snapshotter.commit('name', 'base'))
  },

  'a child’s root has its parent’s mode': async bench => {
    await bench.layer('base', '', [directory('.', 0o1777)])
    const mounts = await bench.snapshotter.prepare('child', 'base')
    await bench.mounted(mounts, place => assert.equal(statSync(place).mode & 0o7777, 0o1777))
  },

  'an inherited directory is renamed': async bench => {
    await bench.layer('base', '', [directory('old'), file('old/in-it', 'kept')])
    await bench.layer('top', 'base', [rename('old', 'new')])
    await bench.viewed('top', place => assert.deepEqual(Object.keys(describeTree(place)), ['.', 'new', 'new/in-it']))
  },

  'an untouched child is counted': async bench => {
    await bench.layer('base', '', [directory('a')])
    await bench.snapshotter.prepare('child', 'base')
    assert.ok((await bench.snapshotter.usage('child')).inodes >= 1, 'its root is an inode')
  },

  'cleanup is there': async bench => {
    await bench.snapshotter.cleanup()
  },
}
