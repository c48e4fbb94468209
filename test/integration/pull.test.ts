// Pull and unpack against a real registry, into real snapshots.
import assert from 'node:assert/strict'
import { lstatSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { mount, unmount } from '#api/sys/sys.ts'
import type { Digest } from '#api/types/digest.ts'
import { hostPlatform } from '#api/types/platform.ts'
import { busyboxLayer, makeImage, makeIndex } from '../fixtures/make-image.ts'
import { putImage } from '../registry/put-image.ts'
import { startRegistry, type TestRegistry } from '../registry/registry.ts'
import { collect, type ImageRoom, ns, openImageRoom, storedImage } from './image-room.ts'

const skip = process.getuid?.() === 0 ? false : 'needs root: it mounts'

describe('pull', { skip }, () => {
  let registry: TestRegistry
  before(async () => {
    registry = await startRegistry()
  })
  after(() => registry[Symbol.asyncDispose]())

  /** Mounts a view of a committed snapshot for the time of `body`. */
  async function viewing(room: ImageRoom, chainID: string, body: (root: string) => void): Promise<void> {
    const snapshots = room.snapshots.on('overlayfs')
    const target = await mkdtemp(join(tmpdir(), 'gantry-view-'))
    try {
      await mount(await snapshots.view(ns, 'look', chainID), target)
      body(target)
    } finally {
      await unmount(target)
      await snapshots.remove(ns, 'look')
      await rm(target, { recursive: true })
    }
  }

  async function snapshotNames(room: ImageRoom): Promise<string[]> {
    return (await collect(room.snapshots.on('overlayfs').list(ns))).map(({ name }) => name)
  }

  const layers = [
    busyboxLayer(),
    [
      { path: 'etc/motd', content: 'first\n' },
      { path: 'gone', content: 'x' },
      { path: 'dir/', type: 'directory' as const },
      { path: 'dir/old', content: 'old' },
    ],
    [
      { path: 'etc/motd', content: 'second\n', uid: 7, gid: 8, mode: 0o600 },
      { path: '.wh.gone', content: '' },
      { path: 'dir/.wh..wh..opq', content: '' },
      { path: 'dir/new', content: 'new' },
    ],
  ]

  for (const flavor of ['oci', 'docker'] as const)
    for (const compression of ['none', 'gzip', 'zstd'] as const)
      test(`a ${flavor} image of ${compression} layers becomes a root`, async () => {
        await using room = await openImageRoom()
        const image = makeImage({ layers, flavor, compression })
        await putImage(registry.host, `${flavor}/${compression}`, 'v1', image)
        const reference = `${registry.host}/${flavor}/${compression}:v1`
        const [stored] = await room.transfers.pull({ reference }, storedImage(reference), room.context())
        assert.equal(stored?.target.digest, image.target.digest)
        const ready = await room.transfers.ensureUnpacked(ns, stored.target, { snapshotter: 'overlayfs' })
        assert.deepEqual(
          ready.diffIDs,
          image.layers.map(layer => layer.diffID),
        )
        await viewing(room, ready.chainID, root => {
          assert.equal(readFileSync(join(root, 'etc/motd'), 'utf8'), 'second\n')
          const { uid, gid, mode } = lstatSync(join(root, 'etc/motd'))
          assert.deepEqual([uid, gid, mode & 0o7777], [7, 8, 0o600])
          assert.throws(() => lstatSync(join(root, 'gone')), /ENOENT/)
          assert.throws(() => lstatSync(join(root, 'dir/old')), /ENOENT/)
          assert.equal(readFileSync(join(root, 'dir/new'), 'utf8'), 'new')
          assert.ok(lstatSync(join(root, 'bin/sh')).isSymbolicLink())
        })
        const config = await room.content.info(ns, ready.config.digest)
        assert.equal(config.labels['containerd.io/gc.ref.snapshot.overlayfs'], ready.chainID)
        const manifest = await room.content.info(ns, ready.manifest.digest)
        assert.equal(manifest.labels['containerd.io/gc.ref.content.config'], ready.config.digest)
        assert.equal(manifest.labels['containerd.io/gc.ref.content.l.2'], image.layers[2]?.digest)
        assert.equal(manifest.labels[`containerd.io/distribution.source.${registry.host}`], `${flavor}/${compression}`)
        const layer = await room.content.info(ns, image.layers[0]?.digest as Digest)
        assert.equal(layer.labels['containerd.io/uncompressed'], image.layers[0]?.diffID)
        assert.deepEqual(await room.leases.list(ns), [], 'the lease is gone')
        assert.equal((await snapshotNames(room)).length, 3, 'only the layers are left')
      })

  test('progress tells the story in containerd’s events', async () => {
    await using room = await openImageRoom()
    const image = makeImage({ layers: [[{ path: 'a', content: 'a' }]] })
    await putImage(registry.host, 'progress', 'v1', image)
    const reference = `${registry.host}/progress:v1`
    await room.transfers.pull({ reference }, storedImage(reference), room.context())
    const events = room.progress.map(({ event }) => event)
    assert.equal(events[0], `Resolving from OCI Registry (${reference})`)
    assert.equal(events.at(-1), `Completed pull from OCI Registry (${reference})`)
    for (const event of ['waiting', 'complete', 'extracting', 'extracted', 'saved'])
      assert.ok(events.includes(event), event)
    const layer = room.progress.find(({ event, name }) => event === 'complete' && name?.startsWith('layer-'))
    assert.deepEqual(layer?.parents, [`manifest-${image.target.digest}`])
    assert.equal(layer?.progress, image.layers[0]?.size)
    room.progress.length = 0
    await room.transfers.pull({ reference }, storedImage(reference), room.context())
    assert.ok(room.progress.some(({ event, name }) => event === 'already exists' && name?.startsWith('layer-')))
  })

  test('of an index, the platform asked for; of other platforms nothing but what was asked', async () => {
    await using room = await openImageRoom()
    const host = hostPlatform()
    const other = { os: 'linux', architecture: host.architecture === 'arm64' ? 'amd64' : 'arm64', variant: '' }
    const mine = makeImage({ layers: [[{ path: 'mine', content: '1' }]], platform: host })
    const theirs = makeImage({ layers: [[{ path: 'theirs', content: '2' }]], platform: other })
    await putImage(registry.host, 'multi', 'v1', makeIndex([theirs, mine]))
    const reference = `${registry.host}/multi:v1`
    const has = async (digest: string | undefined) =>
      (await collect(room.content.list(ns))).some(info => info.digest === digest)
    await room.transfers.pull({ reference }, storedImage(reference, { platforms: [host] }), room.context())
    assert.ok(await has(mine.layers[0]?.digest))
    assert.ok(!(await has(theirs.target.digest)))
    const metadata = storedImage(reference, { platforms: [host], allMetadata: true })
    await room.transfers.pull({ reference }, metadata, room.context())
    assert.ok(await has(theirs.target.digest))
    assert.ok(!(await has(theirs.layers[0]?.digest)))
    await room.transfers.pull({ reference }, storedImage(reference), room.context())
    assert.ok(await has(theirs.layers[0]?.digest))
    const missing = storedImage(reference, { platforms: [{ os: 'linux', architecture: 's390x', variant: '' }] })
    await assert.rejects(
      room.transfers.pull({ reference }, missing, room.context()),
      /no manifest for platform linux\/s390x; it has linux\/.*, linux\/.*: not found$/,
    )
  })

  test('pulls of the same image at the same time share the work', async () => {
    await using room = await openImageRoom()
    const image = makeImage({
      layers: [busyboxLayer(), [{ path: 'b', content: 'b'.repeat(1e6) }]],
      compression: 'none',
    })
    await putImage(registry.host, 'shared', 'v1', image)
    const reference = `${registry.host}/shared:v1`
    const pulls = Array.from({ length: 6 }, (_, i) =>
      room.transfers.pull({ reference }, storedImage(`name-${i}`), room.context()),
    )
    assert.equal((await Promise.all(pulls)).length, 6)
    const extracted = room.progress.filter(({ event }) => event === 'extracted')
    assert.equal(extracted.length, 2, 'each layer once')
    assert.equal((await room.images.list(ns)).length, 6)
    assert.deepEqual(await room.leases.list(ns), [])
  })
})
