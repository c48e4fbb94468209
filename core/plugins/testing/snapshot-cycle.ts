/** What an image and a container do to a snapshotter, from the first layer to the last removal. */
import assert from 'node:assert/strict'
import type { Plugins } from '../plugins.ts'

/** Calls of one cycle. */
export const callsOfCycle = 6

/** Prepares and commits a layer `key`, looks at a child's mounts, and removes both. */
export async function snapshotCycle(snapshotter: ReturnType<Plugins['snapshotter']>, key: string): Promise<void> {
  await snapshotter.prepare(`${key}-active`, '', {})
  await snapshotter.commit(key, `${key}-active`, { labels: {}, parent: '' })
  const mounts = await snapshotter.prepare(`${key}-child`, key, {})
  assert.deepEqual(await snapshotter.mounts(`${key}-child`), mounts)
  await snapshotter.remove(`${key}-child`)
  await snapshotter.remove(key)
}
