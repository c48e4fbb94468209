import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AddressPool } from './address-pool.ts'

test('places come one after another, go round, and run out', () => {
  const pool = new AddressPool(70)
  const given: number[] = []
  for (let from = 60, place = pool.next(from); place !== undefined; place = pool.next(from)) {
    given.push(place)
    pool.take(place)
    from = place + 1
  }
  assert.deepEqual(given, [...Array(10).keys()].map(i => i + 60).concat([...Array(60).keys()]))
  pool.free(33)
  pool.free(33)
  assert.equal(pool.used, 69)
  for (const from of [0, 33, 34, 69, 1000, -1]) assert.equal(pool.next(from), 33)
})

test('every place is found beside all others taken', () => {
  const size = 5000
  const pool = new AddressPool(size)
  for (let i = 0; i < size; i++) pool.take(i)
  for (const free of [0, 1, 31, 32, 63, 4095, 4096, 4999]) {
    pool.free(free)
    assert.equal(pool.next(free), free)
    assert.equal(pool.next((free + 1) % size), free)
    pool.take(free)
  }
  assert.equal(pool.next(0), undefined)
})

test('the last of a million is as near as the first', t => {
  const pool = new AddressPool(1 << 20)
  for (let i = 0; i < (1 << 20) - 1; i++) pool.take(i)
  const started = process.cpuUsage()
  for (let i = 0; i < 1000; i++) assert.equal(pool.next(0), (1 << 20) - 1)
  const { user, system } = process.cpuUsage(started)
  t.diagnostic(`${((user + system) / 1000).toFixed(1)} µs of CPU time each`)
  assert.ok(user + system < 1_000_000, `${user + system} µs for 1000`)
})
