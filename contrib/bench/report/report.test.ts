import assert from 'node:assert/strict'
import { test } from 'node:test'
import { play } from '../contest.ts'
import type { Contestant, Row } from '../row.ts'
import { judge } from '../verdict.ts'
import { drawBars } from './bars.ts'
import { formatOutcome } from './markdown.ts'
import { replaceRun } from './update-docs.ts'

const always = (name: string, value: number): Contestant => ({ name, work: async () => value })
const failing: Contestant = {
  name: 'podman',
  work: async () => {
    throw new Error('no such thing | here')
  },
}

async function outcomeOf(contestants: Contestant[], more: Partial<Row> = {}) {
  return play({ name: 'a row', rounds: 8, warmUps: 1, contestants, ...more })
}

test('a row that loses every round is bold, and loses', async () => {
  const outcome = await outcomeOf([always('gantry', 30), always('dockerd', 20)], { budget: { times: 2 } })
  assert.equal(judge(outcome).loses, true)
  assert.match(
    formatOutcome(outcome),
    /^\| \*\*a row\*\* \| gantry \| 30\.0 ms .*\*\*0\.67x dockerd\*\* \| 2x \*\*miss: 0\.67x of 2x\*\* \|$/m,
  )
})

test('the ratio is against the best peer, in the direction of the row; the floor and another way of ours are none', async () => {
  const contestants = [
    always('gantry', 100),
    always('a', 50),
    always('b', 80),
    always('floor', 1000),
    always('gantry by x', 999),
  ]
  const verdict = judge(await outcomeOf(contestants, { better: 'more' }))
  assert.equal(verdict.peer?.name, 'b')
  assert.equal(verdict.ratio, 1.25)
  assert.equal(verdict.loses, false)
})

test('losing half of the rounds is chance', async () => {
  const contestant: Contestant = { name: 'gantry', work: async round => (round % 2 === 0 ? 10 : 31) }
  const verdict = judge(await outcomeOf([contestant, always('dockerd', 20)]))
  assert.ok((verdict.ratio ?? 1) < 1)
  assert.equal(verdict.loses, false)
})

test('a contestant that fails is out with its reason, and the others go on', async () => {
  const outcome = await outcomeOf([always('gantry', 1), failing])
  assert.equal(outcome.out.get('podman'), 'no such thing | here')
  assert.match(formatOutcome(outcome), /podman \| n\/a: no such thing \\\| here/)
  assert.equal(judge(outcome).ratio, undefined)
})

test('a contestant that does not end is out', async () => {
  const stuck: Contestant = { name: 'dockerd', work: () => new Promise(() => {}) }
  const outcome = await outcomeOf([always('gantry', 1), stuck], { limitMs: 20 })
  assert.match(outcome.out.get('dockerd') ?? '', /longer than 0\.02 s/)
})

test('bars are as long as figures are beside the longest', async () => {
  const svg = drawBars([await outcomeOf([always('gantry', 5), always('dockerd', 10)])])
  assert.match(svg, /width="210\.0"[\s\S]*width="420\.0"/)
})

test('a run goes between the marks', () => {
  const page = 'a\n<!-- run: written by npm run bench -- --docs -->\nold\n<!-- end of run -->\nb\n'
  assert.equal(replaceRun(page, 'new'), page.replace('old', 'new'))
  assert.throws(() => replaceRun('nothing', 'new'), /lacks/)
})
