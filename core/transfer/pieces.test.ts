import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inPieces } from './pieces.ts'

const bytes = Buffer.from(Array.from({ length: 1000 }, (_, i) => i))

async function* chunks(sizes: number[], failure?: Error): AsyncGenerator<Buffer> {
  let at = 0
  for (const size of sizes) {
    yield bytes.subarray(at, at + size)
    at += size
  }
  if (failure) throw failure
}

test('pieces are full but for the last, and hold the same bytes', async () => {
  for (const sizes of [[1000], [1, 999], [333, 333, 334], Array(1000).fill(1)]) {
    const pieces: Buffer[] = []
    for await (const piece of inPieces(chunks(sizes), 300)) pieces.push(Buffer.from(piece))
    assert.deepEqual(
      pieces.map(({ length }) => length),
      [300, 300, 300, 100],
    )
    assert.ok(Buffer.concat(pieces).equals(bytes))
  }
})

test('what came before a failure is given before the failure', async () => {
  const pieces: Buffer[] = []
  const reading = async () => {
    for await (const piece of inPieces(chunks([200, 150], new Error('cut')), 300)) pieces.push(Buffer.from(piece))
  }
  await assert.rejects(reading(), /cut/)
  assert.ok(Buffer.concat(pieces).equals(bytes.subarray(0, 350)))
})

test('whoever stops taking stops the source', async () => {
  let stopped = false
  async function* endless() {
    try {
      for (;;) yield bytes
    } finally {
      stopped = true
    }
  }
  for await (const _ of inPieces(endless(), 300)) break
  assert.equal(stopped, true)
})
