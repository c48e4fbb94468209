// Import and export of OCI layouts and docker-archives.
import assert from 'node:assert/strict'
import { Readable, Writable } from 'node:stream'
import { describe, test } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { isGantryError } from '#api/errors/errors.ts'
import { hostPlatform } from '#api/types/platform.ts'
import { busyboxLayer, dockerArchiveTar, layoutTar, makeImage, makeIndex, makeTar } from '../fixtures/make-image.ts'
import { collect, type ImageRoom, ns, openImageRoom, storedImage } from './image-room.ts'

const skip = process.getuid?.() === 0 ? false : 'needs root: it mounts'
const name = 'test.example/team/app:v1'
const layers = [busyboxLayer(), [{ path: 'etc/motd', content: 'hello\n' }]]

describe('archives', { skip }, () => {
  const archive = (bytes: Buffer) => Readable.from(chunksOf(bytes))
  const failing = (code: string, message: RegExp) => (error: unknown) => {
    assert.ok(isGantryError(error), String(error))
    assert.equal(error.code, code, error.message)
    assert.match(error.message, message)
    return true
  }

  async function isClean(room: ImageRoom): Promise<void> {
    assert.deepEqual(await room.images.list(ns), [])
    assert.deepEqual(await room.leases.list(ns), [])
    assert.deepEqual(await room.content.listStatuses(ns), [])
    assert.deepEqual(await collect(room.snapshots.on('overlayfs').list(ns)), [])
  }

  for (const [around, wrap] of [
    ['plain', (bytes: Buffer) => bytes],
    ['gzip', (bytes: Buffer) => gzipSync(bytes)],
    ['zstd', (bytes: Buffer) => zstdCompressSync(bytes)],
  ] as const)
    test(`an OCI layout in a ${around} tar becomes an unpacked image`, async () => {
      await using room = await openImageRoom()
      const image = makeImage({ layers })
      const tar = wrap(layoutTar([{ image, name }]))
      const stored = await room.transfers.importArchive(archive(tar), storedImage(''), room.context())
      assert.deepEqual(
        stored.map(({ name, target }) => [name, target.digest]),
        [[name, image.target.digest]],
      )
      const [target] = stored
      const ready = await room.transfers.ensureUnpacked(ns, target?.target ?? assert.fail(), {
        snapshotter: 'overlayfs',
      })
      assert.equal((await room.snapshots.on('overlayfs').stat(ns, ready.chainID)).kind, 'committed')
      assert.deepEqual(await room.leases.list(ns), [])
    })

  test('a docker-archive becomes an image per tag, layers compressed when asked', async () => {
    await using room = await openImageRoom()
    const image = makeImage({ layers, compression: 'none', flavor: 'docker' })
    const tar = dockerArchiveTar([{ image, tags: ['app:v1', 'other.example/app:v2'] }])
    const context = { ...room.context(), forceCompress: true }
    const stored = await room.transfers.importArchive(archive(tar), storedImage(''), context)
    assert.deepEqual(stored.map(({ name }) => name).sort(), ['docker.io/library/app:v1', 'other.example/app:v2'])
    const ready = await room.transfers.ensureUnpacked(ns, stored[0]?.target ?? assert.fail(), {
      snapshotter: 'overlayfs',
    })
    assert.deepEqual(
      ready.diffIDs,
      image.layers.map(layer => layer.diffID),
    )
    const sizes = (await collect(room.content.list(ns))).map(({ sizeBytes }) => sizeBytes)
    assert.ok(Math.max(...sizes) < (image.layers[0]?.size ?? 0), 'the large layer is stored compressed')
  })

  test('what is exported imports again, to the same digest, also by docker-archive’s manifest alone', async () => {
    await using room = await openImageRoom()
    const host = hostPlatform()
    const other = { os: 'linux', architecture: host.architecture === 'arm64' ? 'amd64' : 'arm64', variant: '' }
    const image = makeIndex([makeImage({ layers, platform: host }), makeImage({ layers: [], platform: other })])
    await room.transfers.importArchive(archive(layoutTar([{ image, name }])), storedImage(''), room.context())
    const options = {
      names: [name],
      platforms: [],
      allPlatforms: false,
      skipDockerManifest: false,
      skipNonDistributable: false,
    }
    const tar = await exported(room, options)
    assert.deepEqual(await exported(room, options), tar, 'the same bytes again')
    assert.ok((await exported(room, { ...options, allPlatforms: true })).length > tar.length)
    await using second = await openImageRoom()
    const [stored] = await second.transfers.importArchive(archive(tar), storedImage(''), second.context())
    assert.deepEqual([stored?.name, stored?.target.digest], [name, image.target.digest])
    await second.transfers.ensureUnpacked(ns, stored?.target ?? assert.fail(), { snapshotter: 'overlayfs' })
    const missing = { ...options, names: ['nobody'] }
    await assert.rejects(exported(room, missing), failing('NOT_FOUND', /image "nobody": not found/))
  })

  async function exported(room: ImageRoom, options: Parameters<ImageRoom['transfers']['exportArchive']>[1]) {
    const chunks: Buffer[] = []
    const sink = new Writable({
      write(chunk: Buffer, _encoding, done) {
        chunks.push(chunk)
        done()
      },
    })
    await room.transfers.exportArchive(sink, options, room.context())
    return Buffer.concat(chunks)
  }

  test('prefixes name what the archive only tags', async () => {
    await using room = await openImageRoom()
    const image = makeImage({ layers: [] })
    const prefix = {
      name: 'pre.example/x',
      isPrefix: true,
      allowOverwrite: false,
      addDigest: true,
      skipNamedDigest: false,
    }
    const to = storedImage('', { extraReferences: [prefix], unpacks: [] })
    const stored = await room.transfers.importArchive(archive(layoutTar([{ image, name }])), to, room.context())
    assert.deepEqual(
      stored.map(({ name }) => name),
      [`pre.example/x@${image.target.digest}`],
    )
    const overruled = storedImage('', {
      extraReferences: [{ ...prefix, allowOverwrite: true, addDigest: false }],
      unpacks: [],
    })
    const again = await room.transfers.importArchive(archive(layoutTar([{ image, name }])), overruled, room.context())
    assert.deepEqual(
      again.map(({ name }) => name),
      [name],
    )
  })

  test('what is no archive, or a damaged one, is refused and leaves nothing', async () => {
    await using room = await openImageRoom()
    const image = makeImage({ layers })
    const good = layoutTar([{ image, name }])
    const changed = Buffer.from(good)
    const at = good.indexOf(image.layers[0]?.bytes ?? assert.fail()) + 1000
    changed.writeUInt8(changed.readUInt8(at) ^ 1, at)
    const json = (path: string, value: unknown) => ({ path, content: JSON.stringify(value) })
    const cases: [string, Buffer, string, RegExp][] = [
      ['empty', Buffer.alloc(0), 'INVALID_ARGUMENT', /archive is empty/],
      ['text', Buffer.from('hello'.repeat(500)), 'INVALID_ARGUMENT', /is no tar/],
      ['no documents', makeTar([{ path: 'a', content: 'a' }]), 'INVALID_ARGUMENT', /neither an OCI layout/],
      ['cut tar', good.subarray(0, good.length / 2), 'DATA_LOSS', /archive is damaged/],
      ['cut gzip', gzipSync(good).subarray(0, 5000), 'DATA_LOSS', /archive is damaged/],
      ['wrong blob', changed, 'FAILED_PRECONDITION', /archive: blobs\/sha256\/.*unexpected commit digest/],
      [
        'lacks a layer',
        layoutTar([{ image: { ...image, blobs: image.blobs.slice(1) }, name }]),
        'NOT_FOUND',
        /needs blob sha256:.*archive lacks/,
      ],
      [
        'manifest.json is a list of nothing known',
        makeTar([json('manifest.json', [{}])]),
        'INVALID_ARGUMENT',
        /entry without Config/,
      ],
      [
        'names a file that is not there',
        makeTar([json('manifest.json', [{ Config: '../../etc/passwd', Layers: [] }])]),
        'INVALID_ARGUMENT',
        /names "\.\.\/\.\.\/etc\/passwd", which is not in/,
      ],
      [
        'bad index',
        makeTar([json('oci-layout', {}), json('index.json', { manifests: [{ digest: 'x' }] })]),
        'INVALID_ARGUMENT',
        /no sha256 digest/,
      ],
      [
        'nameless',
        layoutTar([{ image: makeImage({ layers: [] }) }]),
        'NOT_FOUND',
        /no image of the archive has a name/,
      ],
    ]
    for (const [title, bytes, code, message] of cases) {
      await assert.rejects(
        room.transfers.importArchive(archive(bytes), storedImage('', { unpacks: [] }), room.context()),
        failing(code, message),
        title,
      )
      await isClean(room)
    }
    const s390x = storedImage('', { platforms: [{ os: 'linux', architecture: 's390x', variant: '' }] })
    await assert.rejects(
      room.transfers.importArchive(archive(good), s390x, room.context()),
      failing('NOT_FOUND', /no image for platform linux\/s390x/),
    )
    await isClean(room)
    const [stored] = await room.transfers.importArchive(archive(good), storedImage(''), room.context())
    assert.equal(stored?.name, name)
  })
})

function* chunksOf(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += 60_000) yield bytes.subarray(at, at + 60_000)
}
