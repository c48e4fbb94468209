import assert from 'node:assert/strict'
import { test } from 'node:test'
import { codeOfStatus, errorTable, GantryError, isGantryError, notFound } from './errors.ts'

test('a factory appends the class text that clients strip', () => {
  const error = notFound('image "x"')
  assert.equal(error.message, 'image "x": not found')
  assert.equal(error.code, 'NOT_FOUND')
  assert.ok(isGantryError(error, 'NOT_FOUND'))
  assert.ok(!isGantryError(error, 'ABORTED'))
})

test('a bare message is kept as it is, and the cause with it', () => {
  const cause = new Error('why')
  const error = notFound('task x not found', { bare: true, cause })
  assert.equal(error.message, 'task x not found')
  assert.equal(error.cause, cause)
})

test('status numbers are the sixteen canonical ones, once each', () => {
  const numbers = Object.values(errorTable).map(row => row.grpc)
  assert.deepEqual(
    numbers.toSorted((a, b) => a - b),
    Array.from({ length: 16 }, (_, i) => i + 1),
  )
  assert.equal(codeOfStatus(5), 'NOT_FOUND')
  assert.equal(codeOfStatus(99), 'UNKNOWN')
})

test('an error without a cause has none', () => {
  assert.ok(!('cause' in new GantryError('INTERNAL', 'x')))
})
