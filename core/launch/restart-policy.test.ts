import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parsePolicy, restartPolicyOf, wantsRestart } from './restart-policy.ts'

test('policies are read in the words of labels and flags', () => {
  assert.deepEqual(parsePolicy('on-failure:3', 'no'), { name: 'on-failure', maxRetries: 3 })
  assert.deepEqual(parsePolicy('on-failure', 'no'), { name: 'on-failure', maxRetries: 0 })
  assert.equal(parsePolicy('', 'always').name, 'always')
  assert.equal(restartPolicyOf(undefined).name, 'no')
  assert.deepEqual(restartPolicyOf({ name: 'on-failure', maxRetries: 2 }), { name: 'on-failure', maxRetries: 2 })
})

for (const text of ['sometimes', 'always:3', 'on-failure:x', 'on-failure:', 'on-failure:-1'])
  test(`"${text}" is no policy`, () => {
    assert.throws(() => parsePolicy(text, 'no'), { code: 'INVALID_ARGUMENT', message: new RegExp(`"${text}"`) })
  })

test('a number of retries is on-failure’s alone', () => {
  assert.throws(() => restartPolicyOf({ name: 'always', maxRetries: 1 }), { code: 'INVALID_ARGUMENT' })
})

const ran = { exitStatus: 0, count: 0, stoppedByHand: false }
const decisions: [policy: string, run: Partial<typeof ran>, wanted: boolean][] = [
  ['no', { exitStatus: 1 }, false],
  ['always', {}, true],
  ['always', { stoppedByHand: true }, true],
  ['unless-stopped', {}, true],
  ['unless-stopped', { stoppedByHand: true }, false],
  ['on-failure', {}, false],
  ['on-failure', { exitStatus: 1, count: 1000 }, true],
  ['on-failure:2', { exitStatus: 1, count: 1 }, true],
  ['on-failure:2', { exitStatus: 1, count: 2 }, false],
]

for (const [policy, run, wanted] of decisions)
  test(`${policy} after ${JSON.stringify(run)}: ${wanted ? 'again' : 'not again'}`, () => {
    assert.equal(wantsRestart(parsePolicy(policy, 'no'), { ...ran, ...run }), wanted)
  })
