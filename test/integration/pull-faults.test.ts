// Bad images, bad registries, bad connections, a full disk: a clear error, nothing visible, nothing held, retry works.
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type ErrorCode, isGantryError } from '#api/errors/errors.ts'
import { mount, unmount } from '#api/sys/sys.ts'
import { patience } from '../daemon/patience.ts'
import {
  descriptorOf,
  type Entry,
  type LayerBlob,
  type MadeImage,
  makeBlob,
  makeImage,
  makeLayer,
  makeTar,
  sha256,
} from '../fixtures/make-image.ts'
import { type FaultyProxy, type Rule, startFaultyProxy } from '../registry/faulty-proxy.ts'
import { putImage } from '../registry/put-image.ts'
import { startRegistry, type TestRegistry } from '../registry/registry.ts'
import { collect, type ImageRoom, ns, openImageRoom, storedImage } from './image-room.ts'

const skip = process.getuid?.() === 0 ? false : 'needs root: it mounts'

describe('pull, when things go wrong', { skip }, () => {
  let registry: TestRegistry
  let proxy: FaultyProxy
  let room: ImageRoom
  before(async () => {
    registry = await startRegistry()
    proxy = await startFaultyProxy(registry.host)
    room = await openImageRoom()
  })
  after(async () => {
    await room[Symbol.asyncDispose]()
    await proxy[Symbol.asyncDispose]()
    await registry[Symbol.asyncDispose]()
  })

  let number = 0
  /** In the registry under a name of its own; answers the reference through the proxy. */
  async function published(image: MadeImage): Promise<string> {
    const repository = `fault/app-${++number}`
    await putImage(registry.host, repository, 'v1', image)
    return `${proxy.host}/${repository}:v1`
  }

  const pull = (reference: string, inRoom = room) =>
    inRoom.transfers.pull({ reference }, storedImage(reference), inRoom.context())

  async function fails(promise: Promise<unknown>, code: ErrorCode, message: RegExp): Promise<void> {
    await assert.rejects(promise, (error: unknown) => {
      assert.ok(isGantryError(error), String(error))
      assert.equal(error.code, code, error.message)
      assert.match(error.message, message)
      return true
    })
  }

  async function nothingVisible(reference: string, inRoom = room): Promise<void> {
    await assert.rejects(inRoom.images.get(ns, reference), /not found/)
    assert.deepEqual(await inRoom.leases.list(ns), [], 'no lease')
    const snapshots = await collect(inRoom.snapshots.on('overlayfs').list(ns))
    assert.deepEqual(
      snapshots.filter(({ kind }) => kind !== 'committed'),
      [],
      'no active snapshot',
    )
    // An ingest may stay, to be resumed; nobody holds it.
    for (const { ref } of await inRoom.content.listStatuses(ns)) await inRoom.content.abort(ns, ref)
  }

  const unique = (size = 1000): Entry[] => [{ path: `file-${++number}`, content: `${number} `.repeat(size) }]

  /** An image whose only layer is these bytes, with the right digest: the image itself is bad. */
  function imageOf(bytes: Buffer, overrides: Partial<LayerBlob> = {}): MadeImage {
    const layer = { ...makeBlob('application/vnd.oci.image.layer.v1.tar+gzip', bytes), diffID: sha256('wrong') }
    return makeImage({ layers: [{ ...layer, ...overrides }] })
  }

  const evil = (entries: Entry[]) => {
    const tar = makeTar(entries)
    return imageOf(tar, { diffID: sha256(tar), mediaType: 'application/vnd.oci.image.layer.v1.tar' })
  }

  const good = makeLayer([{ path: 'a', content: 'a'.repeat(200_000) }])
  const bad: [string, () => MadeImage, ErrorCode, RegExp][] = [
    ['a truncated gzip', () => imageOf(good.bytes.subarray(0, 100)), 'DATA_LOSS', /layer sha256:/],
    ['a corrupt gzip', () => imageOf(Buffer.from(good.bytes).fill(0x55, 30, 60)), 'DATA_LOSS', /layer sha256:/],
    ['a truncated tar', () => evilBytes(makeTar(unique()).subarray(0, 700)), 'DATA_LOSS', /layer sha256:/],
    [
      'another diffID',
      () => imageOf(makeLayer(unique()).bytes),
      'FAILED_PRECONDITION',
      /unpacks to diffID sha256:.*says sha256:/,
    ],
    ['a path with ..', () => evil([{ path: '../../escape', content: 'x' }]), 'INVALID_ARGUMENT', /escape/],
    [
      'a layer of unknown type',
      () => imageOf(good.bytes, { mediaType: 'application/x-unknown' }),
      'INVALID_ARGUMENT',
      /media type "application\/x-unknown", which cannot be unpacked/,
    ],
    [
      'fewer diffIDs than layers',
      () => makeImage({ layers: [unique(), unique()], diffIDs: [sha256('x')] }),
      'INVALID_ARGUMENT',
      /2 layers, but the configuration lists 1/,
    ],
    [
      'a configuration that is no JSON',
      () => withConfig(Buffer.from('{"rootfs":')),
      'INVALID_ARGUMENT',
      /config sha256:.* is not JSON/,
    ],
  ]
  function evilBytes(tar: Buffer): MadeImage {
    return imageOf(tar, { diffID: sha256(tar), mediaType: 'application/vnd.oci.image.layer.v1.tar' })
  }
  function withConfig(bytes: Buffer): MadeImage {
    const config = makeBlob('application/vnd.oci.image.config.v1+json', bytes)
    const manifest = {
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config: descriptorOf(config),
      layers: [],
    }
    const target = makeBlob(manifest.mediaType, Buffer.from(JSON.stringify(manifest)))
    return { target, layers: [], blobs: [config, target] }
  }

  for (const [title, make, code, message] of bad)
    test(`an image with ${title}`, async () => {
      const reference = await published(make())
      await fails(pull(reference), code, message)
      await nothingVisible(reference)
    })

  test('symlinks of a layer are followed inside the root only', async () => {
    const outside = await mkdtemp(join(tmpdir(), 'gantry-outside-'))
    const reference = await published(
      evil([
        { path: 'out', type: 'symlink', target: outside },
        { path: 'out/file', content: 'x' },
        { path: '/absolute', content: 'y' },
      ]),
    )
    await pull(reference)
    assert.deepEqual(await import('node:fs').then(fs => fs.readdirSync(outside)), [], 'nothing was written outside')
    await rm(outside, { recursive: true })
  })

  const refusals: [number, ErrorCode, RegExp][] = [
    [401, 'UNAUTHENTICATED', /answered 401/],
    [403, 'PERMISSION_DENIED', /answered 403/],
    [404, 'NOT_FOUND', /answered 404/],
    [429, 'RESOURCE_EXHAUSTED', /answered 429 \(too many requests\)/],
    [500, 'UNAVAILABLE', /answered 500/],
  ]
  for (const [status, code, message] of refusals)
    test(`a registry that answers ${status} for the manifest, then for a layer`, async () => {
      const image = makeImage({ layers: [unique()] })
      const reference = await published(image)
      const paths = [/manifests/, new RegExp(`blobs/${image.layers[0]?.digest}`)]
      for (const path of paths) {
        proxy.rules = [{ path, fault: { kind: 'status', status } }]
        await fails(pull(reference), code, message)
        await nothingVisible(reference)
      }
      proxy.rules = []
      assert.equal((await pull(reference)).length, 1)
    })

  test('unknown repository, tag and digest', async () => {
    const reference = await published(makeImage({ layers: [] }))
    for (const wrong of [
      `${proxy.host}/nobody:v1`,
      reference.replace(':v1', ':v2'),
      reference.replace(':v1', `@${sha256('x')}`),
    ]) {
      await fails(pull(wrong), 'NOT_FOUND', /failed to resolve reference ".*answered 404/)
      await nothingVisible(wrong)
    }
    await fails(pull('Bad Name'), 'INVALID_ARGUMENT', /invalid reference "Bad Name"/)
  })

  const changes: [string, (image: MadeImage) => Rule, RegExp][] = [
    [
      'manifest',
      () => ({ method: 'GET', path: /manifests/, fault: { kind: 'flip', at: 5 } }),
      /manifest.*unexpected digest/,
    ],
    ['config', image => flipped(image.blobs[1], 5), /config.*unexpected commit digest/],
    ['layer', image => flipped(image.blobs[0], 99_999), /layer.*unexpected commit digest/],
  ]
  const flipped = (blob: { digest: string } | undefined, at: number): Rule => ({
    path: new RegExp(`blobs/${blob?.digest}`),
    fault: { kind: 'flip', at },
  })

  for (const [what, rule, message] of changes)
    test(`changed bytes of a ${what} are refused; the next pull does not trip over them`, async () => {
      const image = makeImage({ layers: [unique(50_000)], compression: 'none' })
      const reference = await published(image)
      const { path } = rule(image)
      proxy.rules = [rule(image)]
      await fails(pull(reference), 'FAILED_PRECONDITION', message)
      const refs = (await room.content.listStatuses(ns)).map(({ ref }) => ref)
      assert.deepEqual(
        refs.filter(ref => path.source.endsWith(ref.replace(/^\w+-/, ''))),
        [],
        'wrong bytes are not kept',
      )
      proxy.rules = []
      await nothingVisible(reference)
      assert.equal((await pull(reference)).length, 1)
    })

  test('a connection cut at any byte of a layer is picked up where it broke, within the same pull', async () => {
    const image = makeImage({
      layers: [[{ path: 'data', content: `${++number}`.repeat(200_000) }]],
      compression: 'none',
    })
    const size = image.layers[0]?.size ?? 0
    const reference = await published(image)
    const path = new RegExp(`blobs/${image.layers[0]?.digest}`)
    for (const bytes of [0, 1, 511, 512, 65_536, Math.floor(size / 2), size - 1]) {
      await using fresh = await openImageRoom()
      proxy.rules = [{ path, times: 1, fault: { kind: 'cut', bytes } }]
      proxy.seen.length = 0
      await pull(reference, fresh)
      const ranges = proxy.seen.filter(({ url }) => path.test(url)).map(({ range }) => range)
      assert.equal(ranges.length, 2, `cut at ${bytes}`)
      if (bytes >= 65_536) assert.match(ranges[1] ?? '', /^bytes=[1-9]\d*-$/, `cut at ${bytes}`)
    }
  })

  test('a pull that gave up is resumed by the next one, from the bytes it had', async () => {
    const image = makeImage({
      layers: [[{ path: 'data', content: `${++number}`.repeat(300_000) }]],
      compression: 'none',
    })
    const reference = await published(image)
    const path = new RegExp(`blobs/${image.layers[0]?.digest}`)
    proxy.rules = [
      { path, times: 1, fault: { kind: 'cut', bytes: 200_000 } },
      { path, fault: { kind: 'cut', bytes: -1 } },
    ]
    await fails(pull(reference), 'UNAVAILABLE', /layer sha256:/)
    const [left] = await room.content.listStatuses(ns)
    assert.ok((left?.offset ?? 0) > 100_000, `kept ${left?.offset}`)
    proxy.rules = []
    proxy.seen.length = 0
    await pull(reference)
    const [again] = proxy.seen.filter(({ url }) => path.test(url))
    assert.equal(again?.range, `bytes=${left?.offset}-`)
    assert.deepEqual(await room.content.listStatuses(ns), [])
  })

  test('a server that ignores ranges costs bytes, not the pull', async () => {
    const image = makeImage({
      layers: [[{ path: 'data', content: `${++number}`.repeat(200_000) }]],
      compression: 'none',
    })
    const reference = await published(image)
    const path = new RegExp(`blobs/${image.layers[0]?.digest}`)
    proxy.rules = [
      { path, times: 1, fault: { kind: 'cut', bytes: 100_000 } },
      { path, fault: { kind: 'ignore-range' } },
    ]
    assert.equal((await pull(reference)).length, 1)
    proxy.rules = []
  })

  test('a pull withdrawn before a layer’s first byte is CANCELED, and the next one works', async () => {
    const image = makeImage({ layers: [unique(100_000)] })
    const reference = await published(image)
    const path = new RegExp(`blobs/${image.layers[0]?.digest}`)
    await withdrawn(reference, { path, times: 1, fault: { kind: 'stall', bytes: 0 } }, () =>
      proxy.seen.some(({ url }) => path.test(url)),
    )
    await nothingVisible(reference)
    assert.equal((await pull(reference)).length, 1)
  })

  test('a pull withdrawn in the middle of a layer keeps what came, and the next one goes on there', async () => {
    const content = `${++number}`.repeat(300_000)
    const image = makeImage({ layers: [[{ path: 'data', content }]], compression: 'none' })
    const reference = await published(image)
    const path = new RegExp(`blobs/${image.layers[0]?.digest}`)
    const arrived = async () => ((await room.content.listStatuses(ns))[0]?.offset ?? 0) > 100_000
    await withdrawn(reference, { path, times: 1, fault: { kind: 'stall', bytes: 150_000 } }, arrived)
    const [left] = await room.content.listStatuses(ns)
    assert.ok((left?.offset ?? 0) > 100_000, `kept ${left?.offset}`)
    proxy.seen.length = 0
    assert.equal((await pull(reference)).length, 1)
    assert.equal(proxy.seen.find(({ url }) => path.test(url))?.range, `bytes=${left?.offset}-`)
  })

  /** Pulls, and withdraws the call as soon as `until` is true. */
  async function withdrawn(reference: string, rule: Rule, until: () => boolean | Promise<boolean>): Promise<void> {
    proxy.rules = [rule]
    proxy.seen.length = 0
    const stop = new AbortController()
    const pulling = room.transfers.pull({ reference }, storedImage(reference), room.context(stop.signal))
    const failed = fails(pulling, 'CANCELED', /pull of|context canceled/)
    for (const deadline = Date.now() + 20_000 * patience; !(await until()); await sleep(5))
      if (Date.now() > deadline) throw new Error('the pull never got that far')
    stop.abort()
    await failed
    proxy.rules = []
  }

  test('schema 1 and other documents are refused by name', async () => {
    const reference = await published(makeImage({ layers: [] }))
    for (const [type, message] of [
      ['application/vnd.docker.distribution.manifest.v1+prettyjws', /schema 1 manifest, no longer supported/],
      ['text/html', /media type "text\/html", which is no image manifest/],
    ] as const) {
      const headers = { 'content-type': type, 'content-length': '10', 'docker-content-digest': sha256('x') }
      proxy.rules = [{ method: 'HEAD', path: /manifests/, fault: { kind: 'status', status: 200, headers } }]
      await fails(pull(reference), 'INVALID_ARGUMENT', message)
    }
    proxy.rules = []
  })

  for (const where of ['content', 'snapshotter'] as const)
    test(`a full disk below the ${where}`, async () => {
      const small = await mkdtemp(join(tmpdir(), 'gantry-small-'))
      await mount([{ type: 'tmpfs', source: 'tmpfs', options: ['size=4m'] }], small)
      await using undo = new AsyncDisposableStack()
      undo.defer(() => rm(small, { recursive: true, force: true }))
      undo.defer(() => unmount(small, { detach: true }))
      const options = where === 'content' ? { contentRoot: small } : { snapshotterRoot: small }
      const full = await openImageRoom(options)
      undo.defer(() => full[Symbol.asyncDispose]())
      const compression = where === 'content' ? 'none' : 'gzip'
      const large = await published(
        makeImage({ layers: [[{ path: 'large', content: Buffer.alloc(9e6, 7) }]], compression }),
      )
      await fails(pull(large, full), 'RESOURCE_EXHAUSTED', /layer sha256:.*(ENOSPC|[Nn]o space left)/)
      await nothingVisible(large, full)
      assert.deepEqual(await full.content.listStatuses(ns), [], 'what filled the disk is gone')
      // In the daemon garbage collection does this: removed snapshots' trees go.
      await full.snapshots.sweep()
      const little = await published(makeImage({ layers: [unique(10)] }))
      assert.equal((await pull(little, full)).length, 1, 'a smaller image fits now')
    })
})
