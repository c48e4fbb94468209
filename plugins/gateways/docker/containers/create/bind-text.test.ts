import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseBind } from './bind-text.ts'

test('paths, volumes and anonymous volumes', () => {
  assert.equal(parseBind('/a/../b:/c/').source, '/b')
  assert.equal(parseBind('/a:/c/').destination, '/c')
  assert.equal(parseBind('data:/c').source, 'data')
  assert.equal(parseBind('/only').source, '')
  const { readOnly, propagation } = parseBind('/a:/b:ro,rshared')
  assert.deepEqual({ readOnly, propagation }, { readOnly: true, propagation: 'rshared' })
})

test('refused in Docker’s words', () => {
  assert.throws(() => parseBind('/a:relative'), /mount path must be absolute/)
  assert.throws(() => parseBind('/a:/'), /destination can't be '\/'/)
  assert.throws(() => parseBind('/a:/b:bogus'), /invalid mode: bogus/)
  assert.throws(() => parseBind('a/b:/c'), /includes invalid characters for a local volume name/)
  assert.throws(() => parseBind('/a:/b:ro:x'), /invalid volume specification/)
})
