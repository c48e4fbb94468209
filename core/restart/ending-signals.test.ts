import assert from 'node:assert/strict'
import { test } from 'node:test'
import { meansTheEnd, numberOf } from './ending-signals.ts'

test('signals have names and numbers', () => {
  assert.deepEqual(['SIGTERM', 'term', '9', 'SIGRTMIN+3', 'RTMIN', 'SIGNONE'].map(numberOf), [
    15,
    15,
    9,
    37,
    34,
    undefined,
  ])
})

test('INT, QUIT, TERM, KILL and the image’s own stop signal mean the end; others do not', () => {
  const plain = { extensions: {}, labels: {} }
  const apache = { extensions: {}, labels: { 'io.containerd.image.config.stop-signal': 'SIGWINCH' } }
  for (const signal of [2, 3, 9, 15]) assert.ok(meansTheEnd(signal, plain))
  for (const signal of [0, 1, 10, 28]) assert.ok(!meansTheEnd(signal, plain))
  assert.ok(meansTheEnd(28, apache))
})
