import assert from 'node:assert/strict'
import { appendFile, mkdtemp, open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { nanosecondsOf } from './log-lines.ts'
import { type ReadLog, readLog } from './log-reader.ts'

const folder = await mkdtemp(join(tmpdir(), 'logs-'))
after(() => rm(folder, { recursive: true }))

const timeOf = (number: number) => new Date(1_700_000_000_000 + number * 1000).toISOString().replace('Z', '000001Z')
const line = (number: number) =>
  `${JSON.stringify({ log: `line ${number}\n`, stream: 'stdout', time: timeOf(number) })}\n`
const lines = (from: number, to: number) => Array.from({ length: to - from }, (_, at) => line(from + at)).join('')

const all: ReadLog = {
  tail: undefined,
  since: undefined,
  until: undefined,
  ended: undefined,
  signal: new AbortController().signal,
}

async function numbers(path: string, wish: Partial<ReadLog> = {}): Promise<number[]> {
  const found: number[] = []
  for await (const lines of readLog(path, { ...all, ...wish }))
    found.push(...lines.map(({ text }) => Number(text.split(' ')[1])))
  return found
}

test('all files, the oldest first; a tail reaches back over them', async () => {
  const path = join(folder, 'rotated.log')
  await writeFile(`${path}.2`, lines(0, 3))
  await writeFile(`${path}.1`, lines(3, 6))
  await writeFile(path, lines(6, 8))
  assert.deepEqual(await numbers(path), [0, 1, 2, 3, 4, 5, 6, 7])
  for (const tail of [0, 1, 2, 3, 5, 8, 20])
    assert.deepEqual(
      await numbers(path, { tail }),
      [0, 1, 2, 3, 4, 5, 6, 7].slice(8 - Math.min(tail, 8)),
      `tail ${tail}`,
    )
})

test('since and until, in a file that is larger than a block', async () => {
  const path = join(folder, 'long.log')
  await writeFile(path, lines(0, 20_000))
  for (const number of [0, 1, 777, 10_000, 19_999]) {
    const since = nanosecondsOf(timeOf(number))
    assert.deepEqual(
      (await numbers(path, { since })).slice(0, 2),
      [number, number + 1].filter(at => at < 20_000),
    )
    assert.equal((await numbers(path, { until: since })).at(-1), number)
  }
  assert.deepEqual(await numbers(path, { tail: 3 }), [19_997, 19_998, 19_999])
  assert.deepEqual(await numbers(path, { since: nanosecondsOf(timeOf(30_000)) }), [])
})

test('a line that is just being written waits for its end', async () => {
  const path = join(folder, 'partial.log')
  await writeFile(path, lines(0, 2) + line(2).slice(0, 10))
  assert.deepEqual(await numbers(path), [0, 1])
})

test('followed over a rotation, to the end', async () => {
  const path = join(folder, 'followed.log')
  await writeFile(path, lines(0, 2))
  const ended = Promise.withResolvers<void>()
  const seen: number[] = []
  for await (const read of readLog(path, { ...all, ended: ended.promise }))
    for (const { text } of read) {
      const number = Number(text.split(' ')[1])
      seen.push(number)
      if (number === 1) await appendFile(path, lines(2, 4))
      if (number === 3) {
        await appendFile(path, lines(4, 5))
        await rename(path, `${path}.1`)
        await writeFile(path, lines(5, 7))
      }
      if (number === 6) ended.resolve()
    }
  assert.deepEqual(seen, [0, 1, 2, 3, 4, 5, 6])
})

test('in a log of 10 GB, tail and since read a few blocks', async () => {
  const path = join(folder, 'huge.log')
  const strideBytes = 1024 * 1024
  const count = 10_240
  {
    // Between the lines are holes of a megabyte: to a reader, damaged lines.
    await using file = await open(path, 'w')
    for (let number = 0; number < count; number++) await file.write(`\n${line(number)}`, (number + 1) * strideBytes)
  }
  const bytesRead = async () => Number(/^rchar: (\d+)/m.exec(await readFile('/proc/self/io', 'utf8'))?.[1])
  const within = async (wish: Partial<ReadLog>, megabytes: number) => {
    const before = await bytesRead()
    const found = await numbers(path, wish)
    assert.ok(
      (await bytesRead()) - before < megabytes * 1024 * 1024,
      JSON.stringify(wish, (_, v) => String(v)),
    )
    return found
  }
  assert.deepEqual(await within({ tail: 1 }, 2), [count - 1])
  const since = nanosecondsOf(timeOf(count - 2))
  assert.deepEqual(await within({ since }, 40), [count - 2, count - 1])
  const at = nanosecondsOf(timeOf(5000))
  assert.deepEqual(await within({ since: at, until: at }, 40), [5000])
})
