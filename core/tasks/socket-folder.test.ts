import assert from 'node:assert/strict'
import { test } from 'node:test'
import { shimSocketFolder } from './socket-folder.ts'

const ofLength = (bytes: number) => `/${'d'.repeat(bytes - 1)}`

test('sockets of shims lie below the state folder while the kernel takes their paths, else in a short folder', () => {
  assert.equal(shimSocketFolder('/run/gantry'), '/run/gantry/s')
  assert.equal(shimSocketFolder(ofLength(40)), `${ofLength(40)}/s`)
  assert.equal(shimSocketFolder(ofLength(41)), '/run/gantry/s')
  assert.equal(shimSocketFolder(`/${'ä'.repeat(20)}`), '/run/gantry/s', 'bytes count, not letters')
})
