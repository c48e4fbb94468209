import assert from 'node:assert/strict'
import { test } from 'node:test'
import { coverageOf } from './coverage.ts'
import { drawTrace } from './draw.ts'
import { type SpanNode, underOneRoot } from './span-tree.ts'

type Part = Partial<Omit<SpanNode, 'startNs' | 'endNs' | 'children'>> & { children?: SpanNode[] }

function node(name: string, startNs: number, endNs: number, part: Part = {}): SpanNode {
  return {
    id: name,
    parentId: '',
    process: 'gctr',
    pid: 1,
    kind: 'step',
    error: '',
    children: [],
    ...part,
    name,
    startNs: BigInt(startNs),
    endNs: BigInt(endNs),
  }
}

test('time of steps is named, once, and what is between them is a gap of the innermost span', () => {
  const inner = node('inner', 40, 90, { kind: 'answer', children: [node('c', 40, 60), node('d', 80, 90)] })
  const { share, gaps } = coverageOf(node('root', 0, 100, { children: [node('a', 0, 30), node('b', 20, 40), inner] }))
  assert.equal(share, 0.7)
  assert.deepEqual(
    gaps.map(gap => [gap.within.name, gap.startNs, gap.endNs]),
    [
      ['inner', 60n, 80n],
      ['root', 90n, 100n],
    ],
  )
})

test('a step that is told in parts is a name for the rest of it; the request itself is none', () => {
  const step = node('step', 10, 60, { children: [node('part', 20, 30)] })
  assert.equal(coverageOf(node('root', 0, 100, { children: [step] })).share, 0.5)
})

test('a call names the way to its callee and back, not what the callee keeps to itself', () => {
  const answer = node('S/M', 30, 80, { kind: 'answer', process: 'gantryd', children: [node('work', 30, 50)] })
  const coverage = coverageOf(
    node('root', 0, 100, { children: [node('S/M', 0, 100, { kind: 'call', children: [answer] })] }),
  )
  assert.equal(coverage.share, 0.7)
  assert.equal(coverage.wireNs, 50n)
  assert.equal(coverage.gaps[0]?.within, answer)
})

test('a call of somebody who does not trace is one step', () => {
  assert.equal(coverageOf(node('root', 0, 10, { children: [node('foreign', 0, 10, { kind: 'call' })] })).share, 1)
})

test('waiting for others is no work; what goes on after the end counts for nothing', () => {
  const late = node('clean-up', 50, 400)
  const { share, wallNs } = coverageOf(node('root', 0, 100, { children: [node('wait for its end', 0, 100), late] }))
  assert.equal(wallNs, 100n)
  assert.equal(share, 0.5)
})

test('requests of one client are drawn on one scale; what has nothing in common is not', () => {
  const request = (name: string, parentId: string, at: number) => node(name, at, at + 10, { parentId, kind: 'answer' })
  const [client, ...others] = underOneRoot([request('one', 'client', 0), request('two', 'client', 50)])
  assert.deepEqual([client?.startNs, client?.endNs, client?.children.length, others.length], [0n, 60n, 2, 0])
  assert.equal(underOneRoot([request('one', 'a', 0), request('two', 'b', 50)]).length, 2)
  assert.equal(underOneRoot([]).length, 0)
})

test('a drawing has a line for each span, its process where that changes, and says what has no name', () => {
  const answer = node('x.v1.Tasks/Create', 10, 90, {
    kind: 'answer',
    process: 'gantryd',
    pid: 2,
    error: 'no such thing',
  })
  const text = drawTrace([node('root', 0, 100_000_000, { children: [answer, node('s', 0, 50_000_000)] })], {
    columns: 100,
    colours: false,
  })
  assert.match(text, /^\[gctr\] root +0\.00 +100\.00 ─+$/m)
  assert.match(text, /^ {2}\[gantryd\] Tasks\/Create .* ! no such thing$/m)
  assert.match(text, /^ {2}\[gctr\] s +0\.00 +50\.00 █+$/m)
  assert.match(text, /named: 50\.0% of 100\.00 ms/)
  assert.match(text, /without a name: 50\.00 ms at 50\.00 in root/)
  assert.ok(!text.includes('\u001b'))
})
