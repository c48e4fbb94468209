import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newSpanId, newTraceId, sampledParent, traceparentOf } from './trace-context.ts'

const traceId = '0af7651916cd43dd8448eb211c80319c'
const spanId = 'b7ad6b7169203331'

test('a sampled traceparent names its span; what is made here can be read there', () => {
  assert.deepEqual(sampledParent(`00-${traceId}-${spanId}-01`), { traceId, spanId })
  assert.deepEqual(sampledParent(`00-${traceId}-${spanId}-03`), { traceId, spanId })
  const own = { traceId: newTraceId(), spanId: newSpanId() }
  assert.deepEqual(sampledParent(traceparentOf(own)), own)
})

test('a later version may say more; this one may not', () => {
  assert.deepEqual(sampledParent(`01-${traceId}-${spanId}-01-more`), { traceId, spanId })
  assert.equal(sampledParent(`00-${traceId}-${spanId}-01-more`), undefined)
})

test('what is not sampled or not well formed is no parent', () => {
  const zeros = '0'.repeat(32)
  for (const bad of [
    undefined,
    '',
    `00-${traceId}-${spanId}-00`,
    `ff-${traceId}-${spanId}-01`,
    `00-${zeros}-${spanId}-01`,
    `00-${traceId}-${zeros.slice(16)}-01`,
    `00-${traceId.toUpperCase()}-${spanId}-01`,
    `00-${traceId}-${spanId}`,
    `00-${traceId.slice(1)}-${spanId}-01`,
  ])
    assert.equal(sampledParent(bad), undefined, String(bad))
})
