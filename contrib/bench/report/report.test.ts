import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { play } from '../contest.ts'
import { readMachine } from '../machine.ts'
import type { Contestant, Row } from '../row.ts'
import { judge } from '../verdict.ts'
import { drawBars } from './bars.ts'
import { formatOutcome } from './markdown.ts'
import { replaceRun } from './update-docs.ts'
import { merged, readReport, toMarkdown, writeReport } from './write-report.ts'

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

test('a run of some groups leaves the others of the report as they were, with their own dates', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'gantry-bench-report-'))
  const group = async (id: string, date: string, ...contestants: Contestant[]) => ({
    ...{ id, title: `Group ${id}`, machine: { ...readMachine(), date } },
    outcomes: [await outcomeOf(contestants, { budget: { times: 2 } })],
  })
  const a = await group('a', '2026-01-01T10:00:00Z', always('gantry', 1), always('dockerd', 3), failing)
  const b = await group('b', '2026-01-01T10:00:00Z', always('gantry', 5))
  await writeReport(folder, { absent: new Map(), groups: [a, b] })
  const again = await group('b', '2026-02-02T20:00:00Z', always('gantry', 7))
  const read = await readReport(folder)
  const whole = toMarkdown(merged(read, { absent: new Map(), groups: [again] }, ['a', 'b']))
  assert.match(
    whole,
    /### Group a[\s\S]*3\.00x dockerd[\s\S]*podman \| n\/a[\s\S]*Run of 2026-01-01[\s\S]*### Group b[\s\S]*7\.00 ms[\s\S]*2026-02-02/,
  )
  assert.doesNotMatch(whole, /5\.00 ms/)
  assert.deepEqual((await readReport(join(folder, 'none'))).groups, [])
  await rm(folder, { recursive: true })
})
