/**
 * Our front over a snapshotter it reaches by the proxy protocol alone: another daemon's whole Snapshots service, which
 * namespaces keys once more and chooses by the `snapshotter` field, as a real containerd does.
 */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createLogger } from '#api/log/log.ts'
import { connect } from '#api/rpc/client.ts'
import { openStore } from '#api/store/store.ts'
import { Exchange } from '#core/events/events.ts'
import { Metadata } from '#core/metadata/metadata.ts'
import { proxyBackend, SnapshotterFronts } from '#core/snapshots/snapshots.ts'
import { startCore } from './core-server.ts'

test('a snapshotter behind the protocol: life cycle, errors, sweep', async () => {
  await using foreign = await startCore()
  const root = await mkdtemp(join(tmpdir(), 'gantry-front-'))
  const store = openStore(root)
  const logger = createLogger({ name: 'front', level: 'error' })
  const metadata = new Metadata(store)
  const backend = proxyBackend('overlayfs', foreign.channel)
  const gone = proxyBackend('overlayfs', connect(`unix:${join(root, 'nobody')}`))
  const backends = { far: async () => backend, gone: async () => gone }
  const fronts = new SnapshotterFronts({ metadata, logger, events: new Exchange(), backends })
  const front = fronts.on('far')
  const held = async () => {
    const names: string[] = []
    for await (const { name, kind } of backend.list()) names.push(`${name} ${kind}`)
    return names
  }
  try {
    const shown = { 'containerd.io/snapshot/x': 'y' }
    const [mount] = await front.prepare('a', 'k', '', { labels: { ...shown, own: '1' } })
    assert.equal(mount?.type, 'bind')
    for await (const { name, labels } of backend.list()) {
      assert.match(name, /^a\/\d+\/k$/)
      assert.deepEqual({ ...labels }, shown)
    }
    await front.commit('a', 'n', 'k')
    await front.view('a', 'v', 'n')
    assert.equal((await front.usage('a', 'n')).inodes, 1n)
    assert.deepEqual((await front.mounts('a', 'v')).length, 1)
    const { kind, parent } = await front.stat('a', 'v')
    assert.deepEqual([kind, parent], ['view', 'n'])
    await assert.rejects(front.commit('a', 'm', 'v'), { code: 'FAILED_PRECONDITION' })
    await front.update('a', { name: 'v', labels: { 'containerd.io/snapshot/z': '1' } })
    await front.remove('a', 'v')
    assert.equal((await held()).length, 2)
    await fronts.sweep()
    assert.deepEqual(
      (await held()).map(name => name.replace(/\d+/, 'N')),
      ['a/N/n committed'],
    )
    await assert.rejects(fronts.on('gone').prepare('a', 'k', ''), { code: 'UNAVAILABLE' })
  } finally {
    await store.close()
    await rm(root, { recursive: true })
  }
})
