import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createLogger } from '#api/log/log.ts'
import { openStore } from '#api/store/store.ts'
import { type Digest, sha256Digest } from '#api/types/digest.ts'
import { ContainerStore } from '#core/containers/containers.ts'
import { LocalContentStore } from '#core/content/content.ts'
import { Exchange } from '#core/events/events.ts'
import { ImageStore } from '#core/images/images.ts'
import { LeaseStore } from '#core/leases/leases.ts'
import { type BlobRecord, Metadata, namespaceKey, objectKey } from '#core/metadata/metadata.ts'
import { SnapshotterFronts } from '#core/snapshots/snapshots.ts'
import { DirectorySnapshotter } from '../../test/conformance/directory-snapshotter.ts'
import { patience } from '../../test/daemon/patience.ts'
import { GarbageCollector, type GcNode, GcScheduler } from './gc.ts'

async function open({ turnMs }: { turnMs?: number } = {}) {
  const root = await mkdtemp(join(tmpdir(), 'gantry-gc-'))
  const store = openStore(join(root, 'metadata'))
  const metadata = new Metadata(store)
  const events = new Exchange()
  const logger = createLogger({ name: 'test', level: 'silent' })
  const content = await LocalContentStore.open(join(root, 'content'), metadata, events)
  const backend = new DirectorySnapshotter(root)
  const snapshots = new SnapshotterFronts({ metadata, events, logger, backends: { dir: async () => backend } })
  const gc = new GarbageCollector({
    metadata,
    events,
    logger,
    content,
    snapshots,
    ...(turnMs !== undefined && { turnMs }),
  })
  const scheduler = new GcScheduler({ metadata, logger, collect: () => gc.collect() })
  const collect = () => scheduler.collectNow()
  return {
    metadata,
    events,
    content,
    snapshots,
    backend,
    gc,
    scheduler,
    images: new ImageStore(metadata, events, collect),
    leases: new LeaseStore(metadata, collect),
    containers: new ContainerStore(metadata, events),
    blobFiles: () => readdir(join(root, 'content/blobs/sha256')),
    async [Symbol.asyncDispose]() {
      await scheduler.stop()
      await store.close()
      await rm(root, { recursive: true })
    },
  }
}

type Room = Awaited<ReturnType<typeof open>>
const ns = 'n'
const past = '2001-01-01T00:00:00Z'
const future = '2999-01-01T00:00:00Z'
const ref = (n: string) => `containerd.io/gc.ref.content.${n}`

async function blob(room: Room, text: string, labels: Record<string, string> = {}, lease?: string): Promise<Digest> {
  const writer = await room.content.writer(ns, { ref: `ref-${text}`, lease })
  await writer.write(Buffer.from(text))
  return (await writer.commit({ labels })).digest
}

async function blobs(room: Room): Promise<string[]> {
  const texts: string[] = []
  for await (const { digest } of room.content.list(ns))
    texts.push((await room.content.readAll(ns, digest, 100)).toString())
  return texts.toSorted()
}

/** Undefined: there is no such blob. */
async function explain(room: Room, digest: string) {
  const [found] = await room.gc.explain(({ type, key }) => type === 'content' && key === digest)
  return found?.chain
}

const image = (name: string, digest: string, labels = {}) => ({
  name,
  labels,
  target: { mediaType: 'm', digest, size: 1n, annotations: {} },
})

test('an image keeps what its labels lead to; without it everything goes, files too', async () => {
  await using room = await open()
  const layer = await blob(room, 'layer')
  const config = await blob(room, 'config')
  const manifest = await blob(room, 'manifest', { [ref('l.0')]: layer, [ref('config')]: config })
  const stray = await blob(room, 'stray')
  assert.deepEqual(await explain(room, stray), [])
  await room.images.create(ns, image('i', manifest))
  assert.equal((await room.gc.plan()).totalBytes, 'stray'.length)
  await room.gc.collect()
  assert.deepEqual(await blobs(room), ['config', 'layer', 'manifest'])
  const why = (await explain(room, layer))?.map(({ type, why }) => `${type}: ${why}`)
  assert.deepEqual(why, ['image: image', 'content: target', `content: label ${ref('l.0')}`])
  await room.images.delete(ns, 'i', { sync: true })
  assert.deepEqual(await blobs(room), [])
  assert.deepEqual(await room.blobFiles(), [])
  assert.equal(await explain(room, layer), undefined)
})

test('the forms of label edges', async () => {
  await using room = await open()
  const front = room.snapshots.on('dir')
  await front.prepare(ns, 'k/with/slashes', '')
  await front.commit(ns, 'base', 'k/with/slashes')
  await front.prepare(ns, 'top/slash', 'base')
  const exact = await blob(room, 'exact')
  const slash = await blob(room, 'slash')
  const nearMiss = await blob(room, 'near-miss')
  await blob(room, 'rooted', {
    'containerd.io/gc.root': 'x',
    'containerd.io/gc.ref.content': exact,
    'containerd.io/gc.ref.content/any': slash,
    'containerd.io/gc.ref.contents': nearMiss,
    'containerd.io/gc.ref.snapshot.dir/1': 'top/slash',
  })
  await room.gc.collect()
  assert.deepEqual(await blobs(room), ['exact', 'rooted', 'slash'])
  assert.equal((await front.stat(ns, 'base')).kind, 'committed')
})

test('back references: the object that carries the label lives with the one it names', async () => {
  await using room = await open()
  const target = await blob(room, 'target')
  await room.images.create(ns, image('i', target))
  await room.images.create(
    ns,
    image('expired', sha256Digest('x'), { 'containerd.io/gc.expire': past, 'containerd.io/gc.bref.image': 'i' }),
  )
  await blob(room, 'follows image', { 'containerd.io/gc.bref.image.a': 'i' })
  await blob(room, 'follows content', { 'containerd.io/gc.bref.content': target })
  await blob(room, 'follows nothing', { 'containerd.io/gc.bref.content': sha256Digest('absent') })
  await room.gc.collect()
  assert.deepEqual(await blobs(room), ['follows content', 'follows image', 'target'])
  assert.deepEqual(
    (await room.images.list(ns)).map(({ name }) => name),
    ['expired', 'i'],
  )
})

test('an image expires, and is announced', async () => {
  await using room = await open()
  const seen: string[] = []
  const stop = new AbortController()
  const subscription = room.events.subscribe(['topic=="/images/delete"'], stop.signal)
  const listening = (async () => {
    for await (const { topic } of subscription) seen.push(topic)
  })()
  const target = await blob(room, 't')
  await room.images.create(ns, image('old', target, { 'containerd.io/gc.expire': past }))
  await room.images.create(ns, image('new', target, { 'containerd.io/gc.expire': future }))
  await room.images.create(ns, image('odd', target, { 'containerd.io/gc.expire': 'soon' }))
  await room.gc.collect()
  assert.deepEqual(
    (await room.images.list(ns)).map(({ name }) => name),
    ['new', 'odd'],
  )
  stop.abort()
  await listening
  assert.deepEqual(seen, ['/images/delete'])
})

test('a lease keeps its resources and what they refer to; a flat one the resources alone; an expired one nothing', async () => {
  await using room = await open()
  const make = async (id: string, labels: Record<string, string>) => {
    await room.leases.create(ns, { id, labels })
    const child = await blob(room, `${id} child`)
    await blob(room, `${id} parent`, { [ref('0')]: child }, id)
  }
  await make('plain', {})
  await make('flat', { 'containerd.io/gc.flat': 'true' })
  await make('running', { 'containerd.io/gc.expire': future })
  await make('expired', { 'containerd.io/gc.expire': past })
  await room.gc.collect()
  assert.deepEqual(await blobs(room), ['flat parent', 'plain child', 'plain parent', 'running child', 'running parent'])
  assert.deepEqual(
    (await room.leases.list(ns)).map(({ id }) => id),
    ['flat', 'plain', 'running'],
  )
  await room.leases.delete(ns, 'plain', { sync: true })
  assert.ok(!(await blobs(room)).includes('plain parent'))
})

test('a flat lease keeps a snapshot with its parents, not what its labels name', async () => {
  await using room = await open()
  const front = room.snapshots.on('dir')
  const named = await blob(room, 'named')
  await front.prepare(ns, 'k', '')
  await front.commit(ns, 'base', 'k')
  await front.prepare(ns, 'top', 'base', { labels: { [ref('0')]: named } })
  await room.leases.create(ns, { id: 'l', labels: { 'containerd.io/gc.flat': 'y' } })
  await room.leases.addResource(ns, 'l', { type: 'snapshots/dir', id: 'top' })
  await room.gc.collect()
  assert.equal((await front.stat(ns, 'base')).kind, 'committed')
  assert.deepEqual(await blobs(room), [])
})

test('a container keeps its snapshot and the layers below; afterwards the backend is empty', async () => {
  await using room = await open()
  const front = room.snapshots.on('dir')
  await front.prepare(ns, 'k', '')
  await front.commit(ns, 'base', 'k')
  await front.prepare(ns, 'c', 'base')
  await front.prepare(ns, 'stray', 'base')
  const spec = { typeUrl: 't', value: Buffer.from('{}') }
  await room.containers.create(ns, { id: 'c', runtime: { name: 'r' }, spec, snapshotter: 'dir', snapshotKey: 'c' })
  const { removed } = await room.gc.collect()
  assert.deepEqual(removed, [{ type: 'snapshot', ns, key: 'dir/stray' }] satisfies GcNode[])
  await room.containers.delete(ns, 'c')
  await room.scheduler.collectNow()
  for await (const info of room.backend.list()) assert.fail(`${info.name} is left`)
})

test('a write in progress stays; one whose lease ended goes', async () => {
  await using room = await open()
  await room.leases.create(ns, { id: 'l' })
  const kept = await room.content.writer(ns, { ref: 'kept' })
  await kept.close()
  const left = await room.content.writer(ns, { ref: 'left', lease: 'l' })
  await left.close()
  const open_ = await room.content.writer(ns, { ref: 'open', lease: 'l' })
  await room.leases.delete(ns, 'l', { sync: true })
  assert.deepEqual(
    (await room.content.listStatuses(ns)).map(({ ref }) => ref),
    ['kept', 'open'],
  )
  await open_.close()
})

/** Read after the tests' own namespace. */
const ballastNs = 'zz'

/** Enough that reading and marking take many turns. */
function addBallast({ metadata }: Room): void {
  const at = { seconds: 1n, nanos: 0 }
  metadata.write(tx => {
    for (let n = 0; n < 1500; n++) {
      const labels = { 'containerd.io/gc.root': 'ballast', [ref('0')]: sha256Digest(`ballast ${n + 1}`) }
      const record: BlobRecord = { sizeBytes: 1, createdAt: at, updatedAt: at, labels }
      tx.put(objectKey(ballastNs, 'blobs', sha256Digest(`ballast ${n}`)), record)
    }
    tx.put(namespaceKey(ballastNs), { labels: {} })
  })
}

test('pulls beside an endless collection that yields at every step lose nothing', async () => {
  await using room = await open({ turnMs: 0 })
  addBallast(room)
  let done = false
  let collections = 0
  const collecting = (async () => {
    while (!done) {
      await room.scheduler.collectNow()
      collections++
      await new Promise(setImmediate)
    }
  })()
  const pull = async (n: number) => {
    const { id } = await room.leases.create(ns)
    const layers: Digest[] = []
    for (let i = 0; i < 4; i++) layers.push(await blob(room, `layer ${n}.${i}`, {}, id))
    const front = room.snapshots.on('dir')
    await front.prepare(ns, `extract ${n}`, '', { lease: id })
    await front.commit(ns, `chain ${n}`, `extract ${n}`, { lease: id })
    const labels = Object.fromEntries(layers.map((layer, i) => [ref(`l.${i}`), layer]))
    const chain = { 'containerd.io/gc.ref.snapshot.dir': `chain ${n}` }
    const manifest = await blob(room, `manifest ${n}`, { ...labels, ...chain }, id)
    await room.images.create(ns, image(`image ${n}`, manifest))
    await room.leases.delete(ns, id)
  }
  await Promise.all(Array.from({ length: 20 }, (_, n) => pull(n)))
  done = true
  await collecting
  assert.ok(collections > 3, `${collections} collections`)
  await room.scheduler.collectNow()
  assert.equal((await blobs(room)).length, 20 * 5)
  for (let n = 0; n < 20; n++) assert.equal((await room.snapshots.on('dir').stat(ns, `chain ${n}`)).kind, 'committed')
  assert.equal((await room.blobFiles()).length, 20 * 5)
})

test('the scheduler collects after a deletion, by itself', async () => {
  await using room = await open()
  const target = await blob(room, 't')
  await room.images.create(ns, image('i', target))
  room.scheduler.start()
  // The first collection, at the start, keeps it.
  await room.scheduler.collectNow()
  assert.deepEqual(await blobs(room), ['t'])
  await room.images.delete(ns, 'i')
  for (const deadline = Date.now() + 10_000 * patience; Date.now() < deadline && (await blobs(room)).length > 0; )
    await new Promise(resolve => setTimeout(resolve, 20))
  assert.deepEqual(await blobs(room), [])
})

test('what comes to be needed while a collection reads and marks is kept, whichever way', async () => {
  await using room = await open({ turnMs: 0 })
  addBallast(room)
  await room.leases.create(ns, { id: 'l' })
  const child = await blob(room, 'child')
  const parent = await blob(room, 'parent', { [ref('0')]: child })
  const leased = await blob(room, 'leased')
  const labelled = await blob(room, 'labelled')
  const anchor = await blob(room, 'anchor', { 'containerd.io/gc.root': 'x' })
  const doomed = await blob(room, 'doomed')
  const collecting = room.gc.collect()
  // In the middle of it: nothing was kept when it began.
  for (let turns = 0; turns < 5; turns++) await new Promise(setImmediate)
  await room.images.create(ns, image('late', parent))
  await room.leases.addResource(ns, 'l', { type: 'content', id: leased })
  await room.content.update(ns, { digest: anchor, labels: { [ref('late')]: labelled } }, [`labels.${ref('late')}`])
  const { removed } = await collecting
  assert.deepEqual(
    removed.map(({ key }) => key),
    [doomed],
  )
  assert.deepEqual(await blobs(room), ['anchor', 'child', 'labelled', 'leased', 'parent'])
})
