import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { openStore } from '#api/store/store.ts'
import { Announcements, applyMapPath, Metadata, now, timestampOf, validateName } from './metadata.ts'

test('sequence numbers are never given twice, also not after a crash', async () => {
  const root = await mkdtemp(join(tmpdir(), 'gantry-metadata-'))
  const given: number[] = []
  for (let run = 0; run < 3; run++) {
    const store = openStore(root)
    const metadata = new Metadata(store)
    for (let i = 0; i < 70; i++) given.push(metadata.nextSequence())
    await store.close()
  }
  assert.equal(new Set(given).size, 210)
  assert.deepEqual(
    given.toSorted((a, b) => a - b),
    given,
  )
  await rm(root, { recursive: true })
})

test('a store of another schema is refused', async () => {
  const root = await mkdtemp(join(tmpdir(), 'gantry-metadata-'))
  const store = openStore(root)
  store.write(tx => tx.put(['schema'], 99))
  assert.throws(() => new Metadata(store), { code: 'FAILED_PRECONDITION', message: /schema 99/ })
  await store.close()
  await rm(root, { recursive: true })
})

test('listeners hear of writes that were kept, not of those undone', async () => {
  const root = await mkdtemp(join(tmpdir(), 'gantry-metadata-'))
  const store = openStore(root)
  const metadata = new Metadata(store)
  const heard: boolean[] = []
  metadata.onMutation(frees => heard.push(frees))
  metadata.write(tx => tx.put(['x'], 1))
  metadata.write(tx => tx.delete(['x']), { frees: true })
  assert.throws(() =>
    metadata.write(() => {
      throw new Error('undo')
    }),
  )
  assert.deepEqual(heard, [false, true])
  await store.close()
  await rm(root, { recursive: true })
})

test('time moves between any two questions, and agrees with the wall clock', () => {
  const [first, second] = [now(), now()]
  assert.ok(second.seconds > first.seconds || (second.seconds === first.seconds && second.nanos > first.nanos))
  assert.ok(Math.abs(Number(first.seconds) * 1000 + first.nanos / 1e6 - Date.now()) < 100)
  assert.deepEqual(timestampOf(1500), { seconds: 1n, nanos: 500_000_000 })
})

test('a field mask takes a whole map, one key of it, or is about something else', () => {
  const current = { a: '1', b: '2' }
  assert.deepEqual(applyMapPath('labels', 'labels', current, { c: '3' }), { c: '3' })
  assert.deepEqual(applyMapPath('labels.a', 'labels', current, { a: 'x', c: '3' }), { a: 'x', b: '2' })
  assert.deepEqual(applyMapPath('labels.a', 'labels', current, {}), { b: '2' })
  assert.deepEqual(applyMapPath('labels.io.x/y', 'labels', {}, { 'io.x/y': '1' }), { 'io.x/y': '1' })
  assert.equal(applyMapPath('labelsx', 'labels', current, {}), undefined)
})

test('names are bounded by what a key can hold', () => {
  validateName('n'.repeat(1024), 'name')
  assert.throws(() => validateName('n'.repeat(1025), 'name'), { code: 'INVALID_ARGUMENT' })
  assert.throws(() => validateName('', 'name'), { message: 'name must not be empty: invalid argument' })
})

test('an announcement made twice is withdrawn twice', () => {
  const announcements = new Announcements()
  {
    using _first = announcements.announce('x')
    {
      using _second = announcements.announce('x', 'y')
      assert.ok(announcements.has('y'))
    }
    assert.ok(announcements.has('x') && !announcements.has('y'))
  }
  assert.ok(!announcements.has('x'))
})

test('listing in steps answers each entry once, and a watch tells what was stored meanwhile', async () => {
  const root = await mkdtemp(join(tmpdir(), 'gantry-metadata-'))
  const store = openStore(root)
  const metadata = new Metadata(store)
  metadata.write(tx => {
    for (let n = 0; n < 300; n++) tx.put(['k', n], n)
  })
  using watch = metadata.watch()
  const seen: number[] = []
  for await (const entries of metadata.listInSteps<number>(['k'])) {
    if (seen.length === 0)
      metadata.write(tx => {
        tx.delete(['k', 0])
        tx.put(['k', 1000], 1000)
      })
    for (const { value } of entries) seen.push(value)
  }
  assert.deepEqual(seen, [...Array(300).keys(), 1000])
  assert.deepEqual(watch.take(), [['k', 1000]])
  const undone = () =>
    metadata.write(tx => {
      tx.put(['k', 2000], 1)
      throw new Error('undone')
    })
  assert.throws(undone)
  assert.ok(watch.isEmpty)
  await store.close()
  await rm(root, { recursive: true })
})
