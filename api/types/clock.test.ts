import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { formatTimestamp, isAfter, now, parseTimestamp } from './clock.ts'

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

test('RFC 3339 keeps every nanosecond, there and back', () => {
  const at = { seconds: 1_795_243_665n, nanos: 70_000_009 }
  assert.equal(formatTimestamp(at), '2026-11-21T06:47:45.070000009Z')
  assert.deepEqual(parseTimestamp(formatTimestamp(at)), at)
  assert.deepEqual(parseTimestamp('2026-11-21T06:47:45.07Z'), { ...at, nanos: 70_000_000 })
  assert.deepEqual(parseTimestamp('2026-11-21T06:47:45Z'), { ...at, nanos: 0 })
  assert.equal(parseTimestamp('yesterday'), undefined)
})

test('the younger of two is told by seconds first, then by nanoseconds', () => {
  const at = { seconds: 5n, nanos: 5 }
  assert.ok(isAfter({ seconds: 6n, nanos: 0 }, at))
  assert.ok(isAfter({ seconds: 5n, nanos: 6 }, at))
  assert.ok(!isAfter(at, at))
})
