import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DetachKeys } from './detach-keys.ts'

/** What the container gets of each read; `!` where the user leaves. */
function typed(...reads: string[]): string[] {
  const keys = new DetachKeys()
  return reads.map(read => {
    const { pass, detached } = keys.feed(Buffer.from(read))
    return `${pass}${detached ? '!' : ''}`
  })
}

test('the keys are found in one read and in two, and do not reach the container', () => {
  assert.deepEqual(typed('\x10\x11'), ['!'])
  assert.deepEqual(typed('\x10', '\x11'), ['', '!'])
  assert.deepEqual(typed('ls\n\x10\x11rest'), ['ls\n!'])
  assert.deepEqual(typed('\x10\x10\x11'), ['\x10!'])
})

test('the first key alone is only late', () => {
  assert.deepEqual(typed('\x10', 'x'), ['', '\x10x'])
  assert.deepEqual(typed('a\x10b'), ['a\x10b'])
  assert.deepEqual(typed('\x10', '\x10', '\x11'), ['', '\x10', '!'])
  assert.deepEqual(typed('\x11'), ['\x11'])
})
