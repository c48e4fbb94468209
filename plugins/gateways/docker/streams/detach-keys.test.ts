import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DetachKeys, parseDetachKeys } from './detach-keys.ts'

function typed(keys: string, ...chunks: string[]): { pass: string; detached: boolean } {
  const finder = new DetachKeys(parseDetachKeys(keys))
  let pass = ''
  for (const chunk of chunks) {
    const found = finder.feed(Buffer.from(chunk))
    pass += found.pass.toString()
    if (found.detached) return { pass, detached: true }
  }
  return { pass, detached: false }
}

test('the default keys, in one piece and in two', () => {
  assert.deepEqual(typed('', 'ab\x10\x11cd'), { pass: 'ab', detached: true })
  assert.deepEqual(typed('', 'ab\x10', '\x11'), { pass: 'ab', detached: true })
})

test('a beginning that goes on otherwise is for the container', () => {
  assert.deepEqual(typed('', '\x10x'), { pass: '\x10x', detached: false })
  assert.deepEqual(typed('', '\x10', '\x10\x11'), { pass: '\x10', detached: true })
})

test('keys of one’s own', () => {
  assert.deepEqual(typed('ctrl-a,d', 'x\x01dy'), { pass: 'x', detached: true })
  assert.throws(() => parseDetachKeys('ctrl-,x'), /invalid escape keys/)
})
