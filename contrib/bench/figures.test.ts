import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chanceOf, figuresOf, medianOf } from './figures.ts'

test('the median of an even count lies between the two in the middle', () => {
  assert.equal(medianOf([4, 1, 3, 2]), 2.5)
  assert.equal(medianOf([9, 1, 5]), 5)
})

test('best and p95 are at the ends that the better direction says', () => {
  const values = Array.from({ length: 100 }, (_, index) => index + 1)
  assert.deepEqual([figuresOf(values).best, figuresOf(values).p95], [1, 96])
  assert.deepEqual([figuresOf(values, 'more').best, figuresOf(values, 'more').p95], [100, 5])
})

test('the spread is half of the distance between the quartiles', () => {
  assert.equal(figuresOf([10, 10, 10, 10]).spread, 0)
  assert.equal(figuresOf([8, 9, 10, 11, 12]).spread, 0.1)
})

test('losing every round is unlikely by chance, losing half of them is not', () => {
  assert.equal(chanceOf(7, 7), 1 / 128)
  assert.equal(chanceOf(0, 7), 1)
  assert.ok(Math.abs(chanceOf(9, 10) - 11 / 1024) < 1e-12)
  assert.ok(chanceOf(5, 10) > 0.5)
})
