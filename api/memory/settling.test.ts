import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { worked } from './settling.ts'

/** Something that a full collection takes and nothing else: V8 has no reason for one in so short a time. */
function makeGarbage(): WeakRef<object> {
  return new WeakRef({ text: 'of no use' })
}

/** A reference is kept alive until the turn that made it is over. */
const nextTurn = () => new Promise(resolve => setImmediate(resolve))

test('after work and ten seconds of quiet, what is of no use is given back, once', async () => {
  mock.timers.enable({ apis: ['setTimeout'] })
  try {
    const first = makeGarbage()
    worked()
    await nextTurn()
    mock.timers.tick(9000)
    assert.ok(first.deref(), 'not before it has been quiet for long')
    await nextTurn()
    mock.timers.tick(1000)
    assert.equal(first.deref(), undefined)

    const second = makeGarbage()
    await nextTurn()
    mock.timers.tick(60_000)
    assert.ok(second.deref(), 'without work nothing is collected')
  } finally {
    mock.timers.reset()
  }
})
