/** Debian's dockerd and ours, asked the same at random: docs/docker-differential.md says what may differ. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import type { Difference } from './compare.ts'
import { emptyBoth } from './empty.ts'
import { fuzz, type Outcome } from './fuzzer.ts'
import { reasonOf } from './known-differences.ts'
import { differentialPage, pagePath } from './page.ts'
import { Pair, pairLacks } from './pair.ts'

const seed = Number(process.env.GANTRY_RANDOM_SEED ?? 1)
const calls = Number(process.env.GANTRY_RANDOM_CALLS ?? 300)
/** Of a few hundred one kind that happens to come up often weighs too much. */
const leastEqual = calls < 1000 ? 0.95 : 0.98

test(`${calls} random requests, seed ${seed}`, { skip: pairLacks }, async t => {
  await using pair = await Pair.start()
  const unequal = await differing(pair)
  const toNewest = unequal.filter(({ differences }) => differences.some(one => reasonOf(one)?.isNewest !== true))
  const equal = 1 - toNewest.length / calls
  t.diagnostic(`${percent(1 - unequal.length / calls)} equal; ${percent(equal)} where newer engines are followed`)
  const unknown = unequal.flatMap(unexplained)
  // What a slow machine did once, it does not do twice at the same request.
  const again = unknown.length === 0 ? [] : (await differing(pair)).flatMap(unexplained)
  const places = new Set(again.map(({ place }) => place))
  const lasting = unknown.filter(({ place }) => places.has(place)).map(({ text }) => text)
  assert.deepEqual(lasting, [], `differences without a reason, seed ${seed}`)
  assert.ok(equal >= leastEqual, `${percent(equal)} equal: ${toNewest.map(describeAll).join('\n')}`)
})

async function differing(pair: Pair): Promise<Outcome[]> {
  await emptyBoth(pair)
  const unequal: Outcome[] = []
  for await (const outcome of fuzz(pair, seed, calls)) if (outcome.differences.length > 0) unequal.push(outcome)
  return unequal
}

function unexplained(outcome: Outcome): { place: string; text: string }[] {
  const unknown = outcome.differences.filter(one => reasonOf(one) === undefined)
  return unknown.map(one => ({ place: `${outcome.number} ${one.at}`, text: describe(outcome, one) }))
}

test('docs/docker-differential.md is what the tables say', () => {
  assert.equal(readFileSync(pagePath, 'utf8'), differentialPage(), 'run: node test/clients/differential/page.ts')
})

const percent = (share: number): string => `${(100 * share).toFixed(2)}%`

const describeAll = (outcome: Outcome) => outcome.differences.map(one => describe(outcome, one)).join('\n')

function describe({ number, wish }: Outcome, { kind, at, theirs, ours }: Difference): string {
  const asked = `${wish.method} ${wish.path} ${wish.body === undefined ? '' : JSON.stringify(wish.body)}`
  return `#${number} ${kind} ${at}: dockerd ${JSON.stringify(theirs)}, ours ${JSON.stringify(ours)}; asked: ${asked}`
}
