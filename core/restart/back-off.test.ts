import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nextWaitMs } from './back-off.ts'

test('the wait doubles from 100 ms to a minute, and begins anew after a run of ten seconds', () => {
  const waits: number[] = []
  let wait: number | undefined
  for (let i = 0; i < 12; i++) {
    wait = nextWaitMs(wait, 50)
    waits.push(wait)
  }
  assert.deepEqual(waits, [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 60_000, 60_000])
  assert.equal(nextWaitMs(60_000, 9999), 60_000)
  assert.equal(nextWaitMs(60_000, 10_000), 100)
})
