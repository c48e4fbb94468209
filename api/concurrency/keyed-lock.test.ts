import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KeyedLock } from './keyed-lock.ts'

test('one key: in order and one at a time, after a failure too; other keys do not wait', async () => {
  const lock = new KeyedLock()
  const seen: string[] = []
  const work = (key: string, name: string, ms: number) =>
    lock.run(key, async () => {
      seen.push(`${name} begins`)
      await new Promise(resolve => setTimeout(resolve, ms))
      seen.push(`${name} ends`)
      if (name === 'a1') throw new Error('a1 fails')
    })
  const outcomes = await Promise.allSettled([work('a', 'a1', 20), work('a', 'a2', 1), work('b', 'b1', 1)])
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ['rejected', 'fulfilled', 'fulfilled'],
  )
  assert.deepEqual(seen, ['a1 begins', 'b1 begins', 'b1 ends', 'a1 ends', 'a2 begins', 'a2 ends'])
})
