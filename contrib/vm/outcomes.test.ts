import assert from 'node:assert/strict'
import { test } from 'node:test'
import { countOutcomes } from './outcomes.ts'

const green = `guest: kernel 6.1
guest: test/vm, 12 s after the start
✔ x
21 passed, 0 failed
guest: rust/containers, 70 s after the start
test a::b ... ok\r
test result: \x1b[32mok\x1b[m\x1b(B. 63 passed; 0 failed; 0 ignored
guest: done, 90 s after the start
`

test('both kinds of tests are counted, colours or not', () => {
  assert.deepEqual(countOutcomes(green), { passed: 84, failed: [] })
})

test('failures have names', () => {
  const text = green
    .replace('21 passed, 0 failed', 'FAILED: test/vm/x.test.ts: y\n20 passed, 1 failed')
    .replace('test a::b ... ok', 'test a::b ... \x1b[31mFAILED\x1b[m\x1b(B')
    .replace('63 passed; 0 failed', '62 passed; 1 failed')
  const { passed, failed } = countOutcomes(text)
  assert.equal(passed, 82)
  assert.deepEqual(failed, ['rust/containers: a::b', 'test/vm/x.test.ts: y'])
})

test('a program or a guest that ends early is a failure', () => {
  const hung = green.replace(/^test result.*$/m, 'ended with 124: rust/containers')
  assert.deepEqual(countOutcomes(hung).failed, ['rust/containers did not come to its end'])
  const cut = green.replace(/^guest: done.*\n/m, '')
  assert.deepEqual(countOutcomes(cut).failed, ['the guest did not come to its end'])
})
