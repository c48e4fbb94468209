import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { type LineLimits, readBoundedLines } from './bounded-lines.ts'

async function read(chunks: Buffer[], limits?: Partial<LineLimits>) {
  const lines: [text: string, cutChars: number][] = []
  let leftOut = 0
  const sink = {
    line: (text: string, cutChars: number) => void lines.push([text, cutChars]),
    leftOut: (count: number) => {
      leftOut += count
    },
  }
  await readBoundedLines(Readable.from(chunks), sink, {
    ...{ maxChars: 100, maxPerSecond: 1_000, maxBytesPerSecond: 1e9 },
    ...limits,
  })
  return { lines, leftOut }
}

test('lines are whole whatever the chunks are; an unfinished one counts at the end', async () => {
  const bytes = Buffer.from('one\r\n\nzwölf\n  \nlast')
  for (const size of [1, 2, 5, 100]) {
    const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) =>
      bytes.subarray(at * size, (at + 1) * size),
    )
    const { lines, leftOut } = await read(chunks)
    assert.deepEqual(lines, [
      ['one', 0],
      ['zwölf', 0],
      ['last', 0],
    ])
    assert.equal(leftOut, 0)
  }
})

test('a line without an end is cut, and never held', async () => {
  const chunks = Array.from({ length: 1_000 }, () => Buffer.alloc(1_000, 'x'))
  assert.deepEqual((await read([...chunks, Buffer.from('\nnext\n')])).lines, [
    ['x'.repeat(100), 1_000_000 - 100],
    ['next', 0],
  ])
})

test('of a flood the first lines are told, and how many were not', async () => {
  const { lines, leftOut } = await read([Buffer.from('line\n'.repeat(5_000))], { maxPerSecond: 50 })
  assert.equal(lines.length + leftOut, 5_000)
  // A second may begin within it on a busy machine.
  assert.ok(lines.length >= 50 && lines.length <= 200, String(lines.length))
})

test('a flood is not read faster than allowed, and whole', async () => {
  const started = performance.now()
  const chunks = Array.from({ length: 30 }, () => Buffer.from('0123456789\n'.repeat(10)))
  const { lines } = await read(chunks, { maxBytesPerSecond: 1_500 })
  assert.equal(lines.length, 300)
  assert.ok(performance.now() - started > 1_900)
})
