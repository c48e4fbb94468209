/** When the next collection comes, by what the last one cost. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createLogger } from '#api/log/log.ts'
import { openStore } from '#api/store/store.ts'
import { Metadata } from '#core/metadata/metadata.ts'
import { GcScheduler, type GcStats } from './gc.ts'

/** Milliseconds between the end of one collection, which took what `stats` says, and the start of the next. */
async function waitAfter(stats: Pick<GcStats, 'workMs' | 'totalMs'>, pauseThreshold: number): Promise<number> {
  const root = await mkdtemp(join(tmpdir(), 'gantry-gc-scheduler-'))
  const store = openStore(root)
  const metadata = new Metadata(store)
  const { promise: again, resolve: collected } = Promise.withResolvers<number>()
  let ended = 0
  const scheduler = new GcScheduler({
    metadata,
    logger: createLogger({ name: 'test', level: 'silent' }),
    pauseThreshold,
    startupDelayMs: 0,
    async collect() {
      if (ended > 0) collected(performance.now() - ended)
      await sleep(stats.totalMs)
      ended = performance.now()
      return { removed: [], pauseMs: 0, ...stats }
    },
  })
  try {
    scheduler.start()
    await scheduler.collectNow()
    metadata.write(tx => tx.put(['freed'], 1), { frees: true })
    return await again
  } finally {
    await scheduler.stop()
    await store.close()
    await rm(root, { recursive: true, force: true })
  }
}

test('the time that files and backends take keeps no collection waiting', async () => {
  const waited = await waitAfter({ workMs: 1, totalMs: 800 }, 0.1)
  assert.ok(waited < 5000, `waited ${waited} ms; 800 ms at a tenth of the time would be 7200`)
})

test('the daemon’s own work does', async () => {
  const waited = await waitAfter({ workMs: 50, totalMs: 50 }, 0.1)
  assert.ok(waited >= 400, `waited ${waited} ms, not 450`)
})
