import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { now } from './clock.ts'

test('time is within the millisecond of Date, finer than it, and does not run backwards', async () => {
  const seen = new Set<bigint>()
  let last = 0n
  for (let index = 0; index < 2000; index++) {
    const before = BigInt(Date.now()) * 1_000_000n
    const { seconds, nanos } = now()
    const ns = seconds * 1_000_000_000n + BigInt(nanos)
    assert.ok(ns >= before && ns <= BigInt(Date.now() + 1) * 1_000_000n)
    assert.ok(ns >= last, `${ns} after ${last}`)
    seen.add(ns)
    last = ns
    if (index % 100 === 0) await sleep(1)
  }
  assert.ok(seen.size > 1000, `${seen.size} different times`)
})
