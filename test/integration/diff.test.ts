// Layers onto an overlay snapshot and out of it again.
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { isGantryError } from '#api/errors/errors.ts'
import { mount, unmount } from '#api/sys/sys.ts'
import { type Digest, sha256Digest } from '#api/types/digest.ts'
import type { Mount } from '#api/types/mount.ts'
import { mediaTypes } from '#api/types/oci.ts'
import { type Entry, makeLayer } from '../fixtures/make-image.ts'
import { type ImageRoom, ns, openImageRoom } from './image-room.ts'

const skip = process.getuid?.() === 0 ? false : 'needs root: it mounts'

async function stored(room: ImageRoom, entries: Entry[]) {
  const { mediaType, digest, bytes, diffID } = makeLayer(entries)
  await using writer = await room.content.writer(ns, { ref: digest })
  await writer.write(bytes)
  await writer.commit({ expected: digest as Digest })
  return { mediaType, digest: digest as Digest, diffID }
}

async function mounted<T>(mounts: readonly Mount[], body: (root: string) => Promise<T>): Promise<T> {
  const root = await mkdtemp(join(tmpdir(), 'gantry-diff-'))
  try {
    await mount([...mounts], root)
    return await body(root)
  } finally {
    await unmount(root)
    await rm(root, { recursive: true })
  }
}

test('what was changed in a snapshot becomes a layer that makes the same change elsewhere', { skip }, async () => {
  await using room = await openImageRoom()
  const snapshots = room.snapshots.on('overlayfs')
  const base = await stored(room, [
    { path: 'kept', content: 'kept' },
    { path: 'gone', content: 'gone' },
  ])
  const empty = await snapshots.prepare(ns, 'base-active', '')
  const applied = await room.diffs.apply(ns, base, empty)
  assert.equal(applied.diffID, base.diffID)
  await snapshots.commit(ns, 'base', 'base-active')
  const changed = await snapshots.prepare(ns, 'changed', 'base')
  await mounted(changed, async root => {
    await writeFile(join(root, 'new'), 'new')
    await rm(join(root, 'gone'))
  })
  const lower = await snapshots.view(ns, 'lower', 'base')
  const layer = await room.diffs.diff(ns, lower, changed, { mediaType: mediaTypes.ociLayerZstd })
  const info = await room.content.info(ns, layer.digest)
  assert.equal(info.sizeBytes, layer.sizeBytes)
  assert.equal(info.labels['containerd.io/uncompressed'], layer.diffID)
  const again = await room.diffs.diff(ns, lower, changed, { mediaType: mediaTypes.ociLayerZstd })
  assert.equal(again.digest, layer.digest, 'the same trees give the same layer')
  const copy = await snapshots.prepare(ns, 'copy', 'base')
  await room.diffs.apply(ns, layer, copy)
  await mounted(copy, async root => {
    assert.equal(await readFile(join(root, 'new'), 'utf8'), 'new')
    assert.equal(await readFile(join(root, 'kept'), 'utf8'), 'kept')
    await assert.rejects(readFile(join(root, 'gone')), { code: 'ENOENT' })
  })
})

test('layers that are not there, or are none, are refused', { skip }, async () => {
  await using room = await openImageRoom()
  const mounts = await room.snapshots.on('overlayfs').prepare(ns, 'a', '')
  const digest = sha256Digest('nothing')
  const missing = room.diffs.apply(ns, { mediaType: mediaTypes.ociLayer, digest }, mounts)
  await assert.rejects(missing, error => isGantryError(error, 'NOT_FOUND'))
  const odd = room.diffs.apply(ns, { mediaType: 'text/plain', digest }, mounts)
  await assert.rejects(odd, error => isGantryError(error, 'NOT_IMPLEMENTED'))
  await assert.rejects(room.diffs.diff(ns, [], mounts, { mediaType: 'text/plain' }), error =>
    isGantryError(error, 'NOT_IMPLEMENTED'),
  )
})
