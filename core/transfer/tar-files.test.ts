import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { makeTar } from '../../test/fixtures/make-image.ts'
import { ByteReader } from './byte-reader.ts'
import { tarFiles } from './tar-files.ts'

const never = new AbortController().signal
const long = `${'deep/'.repeat(40)}file`
const contents = new Map([
  ['empty', Buffer.alloc(0)],
  ['block', Buffer.alloc(512, 1)],
  [long, Buffer.from('the long one')],
  ['large', Buffer.alloc(3_000_001, 'large ')],
])
let folder: string
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-tar-'))
  for (const [name, bytes] of contents) {
    await mkdir(join(folder, name, '..'), { recursive: true })
    await writeFile(join(folder, name), bytes)
  }
})
after(() => rm(folder, { recursive: true, force: true }))

/** As sockets give them: all chunks in the same memory. */
async function* inOneBuffer(bytes: Buffer, chunkBytes: number): AsyncGenerator<Uint8Array> {
  const memory = Buffer.alloc(chunkBytes)
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    memory.fill(0xee)
    yield memory.subarray(0, bytes.copy(memory, 0, at, at + chunkBytes))
  }
}

async function read(bytes: Buffer, chunkBytes: number, take: (name: string) => boolean = () => true) {
  using reader = new ByteReader(inOneBuffer(bytes, chunkBytes), never)
  const found = new Map<string, Buffer>()
  for await (const { header, body } of tarFiles(reader)) {
    if (header.type !== 'file' || !take(header.name)) continue
    const copies: Buffer[] = []
    for await (const piece of body) copies.push(Buffer.from(piece))
    found.set(header.name, Buffer.concat(copies))
  }
  return found
}

for (const format of ['gnu', 'pax', 'ustar'])
  test(`every file of a tar in ${format} format, whatever the chunks`, async () => {
    const names = [...contents.keys()]
    const bytes = execFileSync('tar', [`--format=${format}`, '-C', folder, '-cf', '-', ...names], {
      maxBuffer: 1 << 25,
    })
    for (const chunkBytes of [bytes.length, 100_003, 4096]) {
      const found = await read(bytes, chunkBytes)
      assert.deepEqual([...found.keys()], names)
      for (const [name, content] of contents) assert.ok(found.get(name)?.equals(content), `${name} by ${chunkBytes}`)
    }
    assert.deepEqual([...(await read(bytes, 4096, name => name === 'large')).keys()], ['large'])
  })

test('a file that is cut off, a cut header and a header that is none are told', async () => {
  const tar = makeTar([{ path: 'a', content: 'a'.repeat(2000) }])
  await assert.rejects(read(tar.subarray(0, 1500), 100), /Unexpected end of data: 1012 bytes of a file are missing/)
  await assert.rejects(read(tar.subarray(0, 300), 100), /Unexpected end of data: a header is cut off/)
  const wrong = Buffer.from(tar)
  wrong.fill(0x55, 0, 50)
  await assert.rejects(read(wrong, 1000), /Invalid tar header/)
})

test('who waits for bytes that do not come is let go', async () => {
  const stop = new AbortController()
  const silent = { [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => {}) }) }
  using reader = new ByteReader(silent, stop.signal)
  const waiting = reader.exactly(1)
  stop.abort(new Error('enough'))
  await assert.rejects(waiting, /enough/)
})
