import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { told } from './told.ts'

test('everything told comes in order, then the end', async () => {
  const events = told<number>(async tell => {
    tell(1, 2)
    await turn()
    tell(3)
  })
  const seen: number[] = []
  for await (const event of events) seen.push(event)
  assert.deepEqual(seen, [1, 2, 3])
})

test('a failure comes after what was told', async () => {
  const seen: string[] = []
  const listen = async () => {
    for await (const event of told<string>(async tell => {
      tell('a')
      await turn()
      tell('b')
      throw new Error('broken')
    }))
      seen.push(event)
  }
  await assert.rejects(listen(), { message: 'broken' })
  assert.deepEqual(seen, ['a', 'b'])
})
