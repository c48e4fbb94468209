import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { isGantryError } from '#api/errors/errors.ts'
import { offerSocket, pour } from '#api/streaming/byte-socket.ts'
import { openByteSink, openByteSource, StreamRegistry } from './streaming.ts'

const streams = new StreamRegistry()
const bytes = randomBytes(3 * 1024 * 1024)
let folder: string
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-bytes-'))
})
after(() => rm(folder, { recursive: true, force: true }))

/** Chunks share their memory. */
async function whole(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const copies: Buffer[] = []
  for await (const chunk of source) copies.push(Buffer.from(chunk))
  return Buffer.concat(copies)
}

const failing = (code: string) => (error: unknown) => isGantryError(error) && error.code === code

test('what the core writes arrives whole, also when it closes at once', async () => {
  await using offered = await offerSocket(folder, 'save')
  const received = offered.connected.then(socket => buffer(socket))
  {
    await using sink = await openByteSink(streams, 'test', offered.id)
    await pipeline(Readable.from([bytes.subarray(0, 1_000_000), bytes.subarray(1_000_000)]), sink.bytes)
  }
  assert.ok((await received).equals(bytes))
})

test('what the client pours arrives whole, and ends', async () => {
  await using offered = await offerSocket(folder, 'load')
  void offered.connected.then(socket => pour(Readable.from([bytes]), socket))
  await using source = await openByteSource(streams, 'test', offered.id)
  assert.ok((await whole(source.bytes)).equals(bytes))
})

test('what comes before anybody asks waits for him', async () => {
  await using offered = await offerSocket(folder, 'load')
  void offered.connected.then(socket => pour(Readable.from([bytes]), socket))
  await using source = await openByteSource(streams, 'test', offered.id)
  await sleep(200)
  assert.ok((await whole(source.bytes)).equals(bytes))
})

test('a body that breaks off ends the bytes; a core that wants no more leaves the body alone', async () => {
  for (const breaks of [true, false]) {
    await using offered = await offerSocket(folder, 'load')
    const body = new Readable({ read() {} })
    body.push(bytes)
    body.on('error', () => {})
    void offered.connected.then(socket => pour(body, socket))
    await using source = await openByteSource(streams, 'test', offered.id)
    if (breaks) {
      const got = whole(source.bytes)
      body.destroy(new Error('gone'))
      assert.ok((await got).length <= bytes.length)
    } else {
      await source[Symbol.asyncDispose]()
      await offered.connected.then(socket => new Promise(resolve => socket.once('close', resolve)))
      assert.equal(body.destroyed, false)
    }
  }
})

test('nothing is left of an offer that nobody takes, and nobody else can connect to one that is taken', async () => {
  const unused = await offerSocket(folder, 'save')
  await unused[Symbol.asyncDispose]()
  await assert.rejects(openByteSource(streams, 'test', unused.id), failing('UNAVAILABLE'))
  await using offered = await offerSocket(folder, 'save')
  await using _first = await openByteSink(streams, 'test', offered.id)
  await offered.connected
  await assert.rejects(openByteSink(streams, 'test', offered.id), failing('UNAVAILABLE'))
  assert.deepEqual(await readdir(folder), [])
})

test('a name that is no address is a stream of the client; an address is absolute', async () => {
  await assert.rejects(openByteSource(streams, 'test', 'nobody'), failing('NOT_FOUND'))
  await assert.rejects(openByteSource(streams, 'test', 'unix://relative'), failing('INVALID_ARGUMENT'))
})
