/** Debian's dockerd and ours, asked the same at random: docs/docker-differential.md says what may differ. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import type { Difference } from './compare.ts'
import { fuzz, type Outcome } from './fuzzer.ts'
import { reasonOf } from './known-differences.ts'
import { differentialPage, pagePath } from './page.ts'
import { Pair, pairLacks } from './pair.ts'

const seed = Number(process.env.GANTRY_RANDOM_SEED ?? 1)
const calls = Number(process.env.GANTRY_RANDOM_CALLS ?? 300)
const leastEqual = 0.98

test(`${calls} random requests, seed ${seed}`, { skip: pairLacks }, async t => {
  await using pair = await Pair.start()
  const unequal: Outcome[] = []
  for await (const outcome of fuzz(pair, seed, calls)) if (outcome.differences.length > 0) unequal.push(outcome)
  const equal = 1 - unequal.length / calls
  t.diagnostic(`${(100 * equal).toFixed(2)}% equal`)
  const unknown = unequal.flatMap(outcome =>
    outcome.differences.flatMap(one => (reasonOf(one) ? [] : describe(outcome, one))),
  )
  assert.deepEqual(unknown, [], `differences without a reason, seed ${seed}`)
  assert.ok(equal >= leastEqual, `${(100 * equal).toFixed(2)}% equal: ${unequal.map(describeAll).join('\n')}`)
})

test('docs/docker-differential.md is what the tables say', () => {
  assert.equal(readFileSync(pagePath, 'utf8'), differentialPage(), 'run: node test/clients/differential/page.ts')
})

const describeAll = (outcome: Outcome) => outcome.differences.map(one => describe(outcome, one)).join('\n')

function describe({ number, wish }: Outcome, { kind, at, theirs, ours }: Difference): string {
  const asked = `${wish.method} ${wish.path} ${wish.body === undefined ? '' : JSON.stringify(wish.body)}`
  return `#${number} ${kind} ${at}: dockerd ${JSON.stringify(theirs)}, ours ${JSON.stringify(ours)}; asked: ${asked}`
}
