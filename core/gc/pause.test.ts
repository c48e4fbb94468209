/** How long a collection keeps the daemon from doing anything else, on a store with thousands of objects. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createLogger } from '#api/log/log.ts'
import { openStore } from '#api/store/store.ts'
import { sha256Digest } from '#api/types/digest.ts'
import { LocalContentStore } from '#core/content/content.ts'
import { Exchange } from '#core/events/events.ts'
import { Metadata, now, objectKey } from '#core/metadata/metadata.ts'
import { SnapshotterFronts } from '#core/snapshots/snapshots.ts'
import { GarbageCollector } from './gc.ts'

const images = 100
const layersEach = 50
const ns = 'n'
/** Issue 3: no stop of the daemon's thread above this. */
const longestStopMs = 20

/** Half of the images are there, of the other half only what they left: some 10,000 objects. */
async function fill(metadata: Metadata, blobFolder: string): Promise<number> {
  let objects = 0
  const at = now()
  for (let i = 0; i < images; i++) {
    const layers = Array.from({ length: layersEach }, (_, n) => sha256Digest(`${i} layer ${n}`))
    const manifest = sha256Digest(`${i} manifest`)
    const refs = Object.fromEntries(layers.map((layer, n) => [`containerd.io/gc.ref.content.l.${n}`, layer]))
    const blob = { sizeBytes: 1, createdAt: at, updatedAt: at }
    metadata.write(tx => {
      tx.put(['namespaces', ns], { labels: {} })
      tx.put(objectKey(ns, 'blobs', manifest), { ...blob, labels: refs })
      const labels = { 'containerd.io/distribution.source.registry.example': 'library/image' }
      for (const layer of layers) tx.put(objectKey(ns, 'blobs', layer), { ...blob, labels })
      for (const [n, layer] of layers.entries())
        tx.put(objectKey(ns, 'snapshots', 'gone', layer), {
          sequence: i * layersEach + n,
          backendKey: layer,
          kind: 'committed',
          parent: layers[n - 1] ?? '',
          createdAt: at,
          updatedAt: at,
          labels: i % 2 === 0 && n === layersEach - 1 ? { 'containerd.io/gc.bref.content': manifest } : {},
        })
      const target = { mediaType: 'm', digest: manifest, size: 1n, annotations: {} }
      if (i % 2 === 0)
        tx.put(objectKey(ns, 'images', `image ${i}`), { labels: {}, target, createdAt: at, updatedAt: at })
    })
    objects += 1 + 2 * layers.length + (i % 2 === 0 ? 1 : 0)
    for (const digest of [manifest, ...layers]) await writeFile(join(blobFolder, digest.slice(7)), 'x')
  }
  return objects
}

/** Counts the thread's own CPU time between two chances for others to run; wall time would measure the machine's load. */
function watchStops(): { end(): number } {
  let longestUs = 0
  let before = process.threadCpuUsage()
  let watching = true
  const look = () => {
    const { user, system } = process.threadCpuUsage(before)
    longestUs = Math.max(longestUs, user + system)
    before = process.threadCpuUsage()
    if (watching) setImmediate(look)
  }
  setImmediate(look)
  return {
    end() {
      watching = false
      return longestUs / 1000
    },
  }
}

interface Outcome {
  longestMs: number
  told: string
}

async function collectOnce(): Promise<Outcome> {
  const root = await mkdtemp(join(tmpdir(), 'gantry-gc-pause-'))
  const store = openStore(join(root, 'metadata'))
  try {
    const metadata = new Metadata(store)
    const events = new Exchange()
    const logger = createLogger({ name: 'test', level: 'silent' })
    const content = await LocalContentStore.open(join(root, 'content'), metadata, events)
    const snapshots = new SnapshotterFronts({ metadata, events, logger, backends: {} })
    const gc = new GarbageCollector({ metadata, events, logger, content, snapshots })
    const objects = await fill(metadata, join(root, 'content/blobs/sha256'))
    assert.ok(objects > 10_000)
    const stops = watchStops()
    const { removed, pauseMs, totalMs } = await gc.collect()
    const longestMs = stops.end()
    assert.equal(removed.length, (images / 2) * (1 + 2 * layersEach))
    const told =
      `${objects} objects, ${removed.length} removed: longest stop ${longestMs.toFixed(1)} ms of CPU time, ` +
      `${pauseMs.toFixed(1)} ms by the clock; ${totalMs.toFixed(0)} ms in all`
    return { longestMs, told }
  } finally {
    await store.close()
    await rm(root, { recursive: true })
  }
}

test(`a collection over 10,000 objects never takes ${longestStopMs} ms of the thread at once`, async t => {
  // V8's own collections fall where they like: a stop that is ours comes every time.
  for (let attempt = 1; ; attempt++) {
    const { longestMs, told } = await collectOnce()
    t.diagnostic(told)
    if (longestMs < longestStopMs) return
    assert.ok(attempt < 3, told)
  }
})
