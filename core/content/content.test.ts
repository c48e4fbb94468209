import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Timestamp } from '#api/gen/google/protobuf/timestamp.ts'
import { openStore } from '#api/store/store.ts'
import { isAfter, now } from '#api/types/clock.ts'
import { digestHex, sha256Digest } from '#api/types/digest.ts'
import { Exchange } from '#core/events/events.ts'
import { LeaseStore } from '#core/leases/leases.ts'
import { Metadata, namespaceKey } from '#core/metadata/metadata.ts'
import { type ContentStore, type IngestWriter, LocalContentStore } from './content.ts'

interface Room {
  root: string
  content: LocalContentStore
  metadata: Metadata
  leases: LeaseStore
  /** Opens the same folder again, as a restarted daemon does. */
  reopen(): Promise<void>
}

async function inRoom(
  body: (room: Room) => Promise<void>,
  { sharing }: { sharing?: 'shared' | 'isolated' } = {},
): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), 'gantry-content-'))
  const open = async () => {
    const store = openStore(join(root, 'metadata'))
    const metadata = new Metadata(store)
    const content = await LocalContentStore.open(join(root, 'content'), metadata, new Exchange(), sharing)
    return { store, metadata, content, leases: new LeaseStore(metadata, async () => {}) }
  }
  let { store, metadata, content, leases } = await open()
  const room: Room = {
    root,
    content,
    metadata,
    leases,
    async reopen() {
      await store.close()
      ;({ store, metadata, content, leases } = await open())
      Object.assign(room, { content, metadata, leases })
    },
  }
  try {
    await body(room)
  } finally {
    await store.close()
    await rm(root, { recursive: true })
  }
}

const filled = (files: string[]) => files.filter(name => name !== 'trash')
const blobFiles = (room: Room) => filled(readdirSync(join(room.root, 'content/blobs/sha256')))
const ingestFolders = (room: Room) => readdirSync(join(room.root, 'content/ingest'))

async function store(content: ContentStore, ns: string, bytes: Buffer, labels = {}) {
  const writer = await content.writer(ns, { ref: `r-${sha256Digest(bytes)}` })
  await writer.write(bytes)
  return await writer.commit({ sizeBytes: bytes.length, expected: sha256Digest(bytes), labels })
}

async function sizes(content: ContentStore, filter: string): Promise<number[]> {
  const found: number[] = []
  for await (const info of content.list('a', [filter])) found.push(info.sizeBytes)
  return found
}

test('a blob is what was written, read-only on disk, and nothing of the ingest is left', () =>
  inRoom(async room => {
    const bytes = randomBytes(3_000_000)
    const info = await store(room.content, 'a', bytes, { k: 'v', empty: '' })
    assert.deepEqual({ ...info.labels }, { k: 'v' })
    assert.deepEqual(await room.content.readAll('a', info.digest, 1e7), bytes)
    await using reader = await room.content.reader('a', info.digest)
    assert.deepEqual(Buffer.concat(await reader.stream(10, 2_000_000).toArray()), bytes.subarray(10, 2_000_010))
    assert.equal(statSync(reader.path).mode & 0o777, 0o444)
    assert.deepEqual(ingestFolders(room), [])
    await assert.rejects(room.content.readAll('a', info.digest, 10), { code: 'RESOURCE_EXHAUSTED' })
    await assert.rejects(room.content.info('b', info.digest), { code: 'NOT_FOUND' })
  }))

test('an ingest goes on where it stopped, also after a restart, and its digest is of all bytes', () =>
  inRoom(async room => {
    const bytes = randomBytes(100_000)
    const first = await room.content.writer('a', { ref: 'r', totalBytes: bytes.length })
    await first.write(bytes.subarray(0, 60_000))
    await assert.rejects(room.content.writer('a', { ref: 'r' }), { code: 'UNAVAILABLE' })
    await first.close()
    await room.reopen()
    assert.deepEqual(
      (await room.content.listStatuses('a')).map(({ ref, offset, totalBytes }) => ({ ref, offset, totalBytes })),
      [{ ref: 'r', offset: 60_000, totalBytes: 100_000 }],
    )
    const second = await room.content.writer('a', { ref: 'r' })
    assert.equal(second.offset, 60_000)
    assert.equal(second.digest(), sha256Digest(bytes.subarray(0, 60_000)))
    await second.write(bytes.subarray(60_000))
    const { digest } = await second.commit({ expected: sha256Digest(bytes) })
    assert.deepEqual(await room.content.readAll('a', digest, 1e6), bytes)
    await assert.rejects(room.content.status('a', 'r'), { code: 'NOT_FOUND' })
  }))

test('an ingest began and changed when its caller saw it, to the nanosecond, also once it was left', () =>
  inRoom(async room => {
    const moments = [now()]
    const lap = () => moments.push(now())
    const first = await room.content.writer('a', { ref: 'r' })
    lap()
    await first.write(Buffer.from('some'))
    lap()
    const { startedAt, updatedAt } = first.status()
    const [before, begun, written] = moments as [Timestamp, Timestamp, Timestamp]
    assert.ok(!isAfter(before, startedAt) && !isAfter(startedAt, begun), 'started within the call')
    assert.ok(!isAfter(begun, updatedAt) && !isAfter(updatedAt, written), 'changed within the write')
    await first.close()
    await room.reopen()
    const second = await room.content.writer('a', { ref: 'r' })
    assert.deepEqual([second.status().startedAt, second.status().updatedAt], [startedAt, updatedAt])
    await second.close()
  }))

test('a second writer waits for a first that is about to go, and for one alone', () =>
  inRoom(async ({ content }) => {
    const first = await content.writer('a', { ref: 'r' })
    await first.write(Buffer.from('some'))
    const next = [content.writer('a', { ref: 'r' }), content.writer('a', { ref: 'r' })]
    await first.close()
    const [second, third] = await Promise.allSettled(next)
    assert.ok(second?.status === 'fulfilled' && second.value.offset === 4)
    assert.ok(third?.status === 'rejected' && /ref r locked for/.test(third.reason.message))
    await second.value.close()
  }))

test('wrong size or digest makes no blob, and the ingest stays to be cut and written anew', () =>
  inRoom(async room => {
    const expected = sha256Digest('hello')
    const wrong = await room.content.writer('a', { ref: 'r' })
    await wrong.write(Buffer.from('hellO!'))
    await assert.rejects(wrong.commit({ expected }), {
      code: 'FAILED_PRECONDITION',
      message: /unexpected commit digest/,
    })
    const size = await room.content.writer('a', { ref: 'r' })
    await assert.rejects(size.commit({ sizeBytes: 9 }), {
      message: '"r" failed size validation: 6 != 9: failed precondition',
    })
    assert.deepEqual(blobFiles(room), [])
    const right = await room.content.writer('a', { ref: 'r' })
    assert.equal(right.offset, 6)
    await right.truncate(4)
    assert.equal(right.digest(), sha256Digest('hell'))
    await right.write(Buffer.from('o'))
    assert.equal((await right.commit({ expected })).digest, expected)
  }))

test('another namespace takes a blob over by naming its digest, without its bytes', () =>
  inRoom(async room => {
    const bytes = randomBytes(5000)
    const { digest } = await store(room.content, 'a', bytes)
    const shared = await room.content.writer('b', { ref: 'r', expected: digest })
    assert.equal(shared.offset, 5000)
    await assert.rejects(room.content.info('b', digest), { code: 'NOT_FOUND' })
    // The first namespace lets go, and a sweep runs, while the second is about to take it over.
    await room.content.delete('a', digest)
    await room.content.sweep()
    await shared.commit({ expected: digest })
    assert.deepEqual(await room.content.readAll('b', digest, 1e5), bytes)
    await assert.rejects(room.content.writer('b', { ref: 'again', expected: digest }), { code: 'ALREADY_EXISTS' })
    const changed = await room.content.writer('c', { ref: 'r', expected: digest })
    await changed.write(Buffer.from('more'))
    const longer = await changed.commit()
    assert.equal(longer.digest, sha256Digest(Buffer.concat([bytes, Buffer.from('more')])))
  }))

test('a lease holds the ingest, then the blob', () =>
  inRoom(async ({ content, leases }) => {
    const lease = await leases.create('a', { id: 'l' })
    const writer = await content.writer('a', { ref: 'r', lease: lease.id })
    assert.deepEqual(await leases.listResources('a', 'l'), [{ type: 'ingests', id: 'r' }])
    await writer.write(Buffer.from('x'))
    const { digest } = await writer.commit()
    assert.deepEqual(await leases.listResources('a', 'l'), [{ type: 'content', id: digest }])
    await assert.rejects(content.writer('a', { ref: 'q', lease: 'none' }), {
      message: 'lease does not exist: not found',
    })
    assert.deepEqual(await content.listStatuses('a'), [])
  }))

test('the loser of two commits of one blob learns that it exists', () =>
  inRoom(async room => {
    const writers = await Promise.all(['r1', 'r2'].map(ref => room.content.writer('a', { ref })))
    for (const writer of writers) await writer.write(Buffer.from('same'))
    const outcomes = await Promise.allSettled(writers.map(writer => writer.commit()))
    assert.deepEqual(outcomes.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected'])
    assert.deepEqual(ingestFolders(room), [])
    assert.equal(blobFiles(room).length, 1)
  }))

test('a sweep removes what no record knows, and nothing else', () =>
  inRoom(async room => {
    const { digest } = await store(room.content, 'a', Buffer.from('kept'))
    const gone = await store(room.content, 'a', Buffer.from('gone'))
    const open = await room.content.writer('a', { ref: 'open' })
    await open.write(Buffer.from('half'))
    const orphan = join(room.root, 'content/blobs/sha256', digestHex(sha256Digest('crash left this')))
    await writeFile(orphan, 'crash left this')
    await room.content.delete('a', gone.digest)
    await room.content.sweep()
    assert.ok(!existsSync(orphan))
    assert.deepEqual(blobFiles(room), [digestHex(digest)])
    assert.deepEqual(readdirSync(join(room.root, 'content/trash')), [])
    await open.write(Buffer.from('way'))
    assert.equal((await open.commit()).digest, sha256Digest('halfway'))
  }))

test('labels change by mask, filters choose', () =>
  inRoom(async ({ content }) => {
    const { digest } = await store(content, 'a', Buffer.from('1'), { a: '1', b: '2' })
    const changed = await content.update('a', { digest, labels: { b: '', c: '3' } }, ['labels.b', 'labels.c'])
    assert.deepEqual(changed.labels, { a: '1', c: '3' })
    await assert.rejects(content.update('a', { digest, labels: {} }, ['size']), { code: 'INVALID_ARGUMENT' })
    await store(content, 'a', Buffer.from('22'))
    assert.deepEqual(await sizes(content, 'size==2'), [2])
    assert.deepEqual(await sizes(content, 'labels.c'), [1])
  }))

test('an ingest aborted under its writer: the ref is free at once, the writer is told, nothing is left', () =>
  inRoom(async room => {
    const { content } = room
    for (const end of [(w: IngestWriter) => w.write(Buffer.from('more')), (w: IngestWriter) => w.commit()]) {
      const first = await content.writer('a', { ref: 'r' })
      await first.write(Buffer.from('old'))
      await content.abort('a', 'r')
      await assert.rejects(content.status('a', 'r'), { code: 'NOT_FOUND' })
      const second = await content.writer('a', { ref: 'r' })
      assert.equal(second.offset, 0)
      await second.write(Buffer.from('new'))
      await assert.rejects(end(first), { code: 'NOT_FOUND', message: 'reference r: not found' })
      await first.close()
      await assert.rejects(content.writer('a', { ref: 'r' }), { code: 'UNAVAILABLE' })
      const { digest } = await second.commit()
      assert.deepEqual(ingestFolders(room), [])
      await content.delete('a', digest)
    }
  }))

test('isolated: a namespace proves that it has the bytes, unless they are of a shareable one', () =>
  inRoom(
    async ({ content, metadata }) => {
      const { digest } = await store(content, 'a', Buffer.from('secret'))
      const writer = await content.writer('b', { ref: 'r', expected: digest })
      assert.equal(writer.offset, 0)
      await writer.close()
      metadata.write(tx => tx.put(namespaceKey('a'), { labels: { 'containerd.io/namespace.shareable': 'true' } }))
      const sharing = await content.writer('c', { ref: 'r', expected: digest })
      assert.equal(sharing.offset, 'secret'.length)
      assert.equal((await sharing.commit()).digest, digest)
    },
    { sharing: 'isolated' },
  ))

test('an aborted ingest starts over at nothing', () =>
  inRoom(async ({ content }) => {
    const writer = await content.writer('a', { ref: 'r' })
    await writer.write(Buffer.from('old'))
    await writer.close()
    await content.abort('a', 'r')
    const again = await content.writer('a', { ref: 'r' })
    assert.equal(again.offset, 0)
    await again.close()
  }))
