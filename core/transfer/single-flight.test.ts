import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Limiter } from './limiter.ts'
import { SingleFlight } from './single-flight.ts'

const never = new AbortController().signal

test('callers at the same time share one piece of work', async () => {
  const flights = new SingleFlight<number>()
  let runs = 0
  const work = async () => {
    await sleep(5)
    return ++runs
  }
  assert.deepEqual(await Promise.all([flights.run('k', never, work), flights.run('k', never, work)]), [1, 1])
  assert.equal(await flights.run('k', never, work), 2)
})

test('one that gives up leaves the work to the others', async () => {
  const flights = new SingleFlight<string>()
  const giveUp = new AbortController()
  const work = async (signal: AbortSignal) => {
    await sleep(20)
    return signal.aborted ? 'stopped' : 'done'
  }
  const first = flights.run('k', giveUp.signal, work)
  const second = flights.run('k', never, work)
  giveUp.abort(new Error('enough'))
  await assert.rejects(first, /enough/)
  assert.equal(await second, 'done')
})

test('the last one to give up stops the work and waits for its clean-up', async () => {
  const flights = new SingleFlight<void>()
  const giveUp = new AbortController()
  let cleaned = false
  const work = async (signal: AbortSignal) => {
    await new Promise(resolve => signal.addEventListener('abort', resolve))
    await sleep(5)
    cleaned = true
    signal.throwIfAborted()
  }
  const run = flights.run('k', giveUp.signal, work)
  giveUp.abort(new Error('enough'))
  await assert.rejects(run, /enough/)
  assert.ok(cleaned)
})

test('a limiter bounds what runs at once, in order, also past failures', async () => {
  const limiter = new Limiter(2)
  let running = 0
  let most = 0
  const order: number[] = []
  const jobs = [0, 1, 2, 3, 4].map(i =>
    limiter.run(never, async () => {
      most = Math.max(most, ++running)
      order.push(i)
      await sleep(2)
      running--
      if (i === 1) throw new Error('one fails')
    }),
  )
  await Promise.allSettled(jobs)
  assert.equal(most, 2)
  assert.deepEqual(order, [0, 1, 2, 3, 4])
})

test('waiting for a place ends with the signal, and the place is not lost', async () => {
  const limiter = new Limiter(1)
  const giveUp = new AbortController()
  const first = limiter.run(never, () => sleep(10))
  const second = limiter.run(giveUp.signal, async () => assert.fail('ran'))
  giveUp.abort(new Error('enough'))
  await assert.rejects(second, /enough/)
  await first
  assert.equal(await limiter.run(never, async () => 'ran'), 'ran')
})
