import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Key } from '#core/metadata/metadata.ts'
import { ChangedContainers } from './changed-containers.ts'

function changedContainers() {
  let note = (_: readonly Key[]): void => assert.fail('nobody follows')
  const changed = new ChangedContainers({
    follow: listener => {
      note = listener
    },
  })
  return { changed, stored: (...keys: Key[]) => note(keys) }
}

test('what a description is made of counts as a change of its container, once, in order', () => {
  const { changed, stored } = changedContainers()
  const { mark, ids } = changed.since('moby', '')
  assert.equal(ids, undefined)
  stored(['in', 'moby', 'containers', 'a'], ['in', 'moby', 'images', 'x'], ['last-runs', 'moby', 'b'])
  stored(['restarts', 'other', 'c'], ['networks', 'attachment', 'moby', 'd', 'eth0'], ['networks', 'record', 'e'])
  changed.touch('moby', 'a')
  assert.deepEqual(changed.since('moby', mark).ids, ['b', 'd', 'a'])
  assert.deepEqual(changed.since('moby', changed.since('moby', mark).mark).ids, [])
  assert.deepEqual(changed.since('other', mark).ids, ['c'])
})

test('a mark of another life, and one that is no mark, may have missed anything', () => {
  const mark = changedContainers().changed.since('moby', '').mark
  const { changed } = changedContainers()
  for (const wrong of [mark, '', 'x', `${changed.since('moby', '').mark}x`])
    assert.equal(changed.since('moby', wrong).ids, undefined)
})

test('a mark older than what is remembered may have missed anything', () => {
  const { changed } = changedContainers()
  const old = changed.since('moby', '').mark
  for (let at = 0; at < 16_384; at++) changed.touch('moby', String(at))
  assert.equal(changed.since('moby', old).ids?.length, 16_384)
  const { mark } = changed.since('moby', old)
  changed.touch('moby', 'one more')
  assert.equal(changed.since('moby', old).ids, undefined)
  assert.deepEqual(changed.since('moby', mark).ids, ['one more'])
})
