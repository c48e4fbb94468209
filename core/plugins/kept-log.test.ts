import assert from 'node:assert/strict'
import { appendFileSync, existsSync, statSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { KeptLog, removeLog } from './kept-log.ts'

let folder = ''
let path = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-log-'))
  path = join(folder, 'logs', 'network-one.log')
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const texts = (log: KeptLog, count: number, sinceMs?: number) =>
  log.read({ count, ...(sinceMs !== undefined && { sinceMs }) }).map(({ text }) => text)

test('another process reads what one wrote, for its owner alone', () => {
  const first = new KeptLog(path)
  assert.deepEqual(texts(first, 10), [])
  first.add('info', 'one')
  first.add('error', 'two')
  first.close()
  assert.equal(statSync(path).mode & 0o777, 0o600)
  const second = new KeptLog(path)
  second.add('warn', 'three')
  assert.deepEqual(texts(second, 2), ['two', 'three'])
  assert.deepEqual(texts(second, 0), [])
  assert.deepEqual(texts(second, 10, Date.now() + 1), [])
  second.close()
})

test('a line that a crash cut short is left out, the next ones are not', () => {
  const log = new KeptLog(path)
  log.add('info', 'whole')
  log.close()
  appendFileSync(path, '{"atMs":17,"te')
  appendFileSync(path, '\n')
  log.add('info', 'next')
  assert.deepEqual(texts(log, 10), ['whole', 'next'])
  log.close()
})

test('two files of bounded size, the last lines in them', async () => {
  const log = new KeptLog(path, { maxBytes: 2_000 })
  for (let line = 0; line < 500; line++) {
    log.add('info', `line ${line}`)
    if (line % 7 === 0) await new Promise(setImmediate)
  }
  const kept = texts(log, 1_000)
  assert.ok(kept.length > 20 && kept.length < 200, String(kept.length))
  assert.equal(kept.at(-1), 'line 499')
  log.close()
  for (const file of [path, `${path}.1`])
    assert.ok((statSync(file, { throwIfNoEntry: false })?.size ?? 0) < 4_000, file)
  removeLog(path)
  assert.ok(!existsSync(path) && !existsSync(`${path}.1`))
})

test('who follows sees what was there and what comes, each line once', async () => {
  const log = new KeptLog(path)
  const stop = new AbortController()
  log.add('info', 'before')
  const seen: string[] = []
  const following = (async () => {
    for await (const { text } of log.follow({ count: 5 }, stop.signal)) {
      seen.push(text)
      if (text === 'last') stop.abort()
    }
  })()
  log.add('info', 'after')
  await new Promise(setImmediate)
  log.add('info', 'last')
  await following
  assert.deepEqual(seen, ['before', 'after', 'last'])
  log.close()
})

test('a place that cannot be written costs the lines, not the daemon', async () => {
  appendFileSync(join(folder, 'logs'), 'a file where the folder should be')
  const log = new KeptLog(path)
  log.add('info', 'lost')
  await new Promise(setImmediate)
  assert.deepEqual(texts(log, 10), [])
})
