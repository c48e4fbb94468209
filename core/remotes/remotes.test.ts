// Against Debian's docker-registry; see test/registry.
import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { after, before, describe, test } from 'node:test'
import { isGantryError } from '#api/errors/errors.ts'
import { parseDescriptor, parseManifest } from '#api/types/oci.ts'
import { descriptorOf, makeImage } from '../../test/fixtures/make-image.ts'
import { type FaultyProxy, startFaultyProxy } from '../../test/registry/faulty-proxy.ts'
import { putImage } from '../../test/registry/put-image.ts'
import { startRegistry, type TestRegistry } from '../../test/registry/registry.ts'
import { createRemotes } from './remotes.ts'

const image = makeImage({ layers: [[{ path: 'a', content: 'x'.repeat(300_000) }]], compression: 'none' })
const [layer] = image.layers
const fast = { attempts: 3, baseDelayMs: 1, maxDelayMs: 5 }
const code = (expected: string) => (error: unknown) => isGantryError(error) && error.code === expected

describe('remotes', () => {
  let registry: TestRegistry
  let proxy: FaultyProxy
  before(async () => {
    registry = await startRegistry()
    proxy = await startFaultyProxy(registry.host)
    await putImage(registry.host, 'team/app', 'v1', image)
  })
  after(async () => {
    await proxy[Symbol.asyncDispose]()
    await registry[Symbol.asyncDispose]()
  })

  async function opened(reference = `${proxy.host}/team/app:v1`, config = {}) {
    proxy.rules = []
    const remotes = createRemotes({ ...fast, ...config })
    const remote = await remotes.open(reference)
    await remote.resolve().catch(() => undefined)
    proxy.seen.length = 0
    return { remote, [Symbol.asyncDispose]: () => remotes[Symbol.asyncDispose]() }
  }
  const layerDescriptor = parseDescriptor('layer', descriptorOf(layer ?? assert.fail()))

  test('a tag resolves, manifest and blob come whole', async () => {
    await using session = await opened()
    const target = await session.remote.resolve()
    assert.equal(target.digest, image.target.digest)
    assert.equal(target.size, image.target.size)
    const manifest = parseManifest('manifest', await session.remote.manifest(target))
    assert.equal(manifest.layers[0]?.digest, layer?.digest)
    const { offset, body } = await session.remote.blob(layerDescriptor, 0)
    assert.equal(offset, 0)
    assert.deepEqual(await buffer(body), layer?.bytes)
  })

  test('a registry that tells no digest is asked for the bytes', async () => {
    await using session = await opened()
    proxy.rules = [{ method: 'HEAD', path: /manifests/, fault: { kind: 'drop-header', name: 'docker-content-digest' } }]
    assert.equal((await session.remote.resolve()).digest, image.target.digest)
    assert.deepEqual(
      proxy.seen.map(({ method }) => method),
      ['HEAD', 'GET'],
    )
  })

  test('a blob continues at an offset, and from the start where ranges are not served', async () => {
    await using session = await opened()
    const rest = await session.remote.blob(layerDescriptor, 1000)
    assert.equal(rest.offset, 1000)
    assert.deepEqual(await buffer(rest.body), layer?.bytes.subarray(1000))
    proxy.rules = [{ path: /blobs/, fault: { kind: 'ignore-range' } }]
    const whole = await session.remote.blob(layerDescriptor, 1000)
    assert.equal(whole.offset, 0)
    assert.deepEqual(await buffer(whole.body), layer?.bytes)
  })

  test('refusals have their codes and say who and what', async () => {
    await using session = await opened()
    const cases: [number, string][] = [
      [401, 'UNAUTHENTICATED'],
      [403, 'PERMISSION_DENIED'],
      [404, 'NOT_FOUND'],
      [429, 'RESOURCE_EXHAUSTED'],
      [500, 'UNAVAILABLE'],
    ]
    for (const [status, expected] of cases) {
      const body = JSON.stringify({ errors: [{ code: 'SOME_CODE', message: 'because' }] })
      proxy.rules = [{ method: 'GET', path: /blobs/, fault: { kind: 'status', status, body } }]
      await assert.rejects(session.remote.blob(layerDescriptor, 0), (error: unknown) => {
        assert.ok(isGantryError(error, expected as 'UNAVAILABLE'), `${status}: ${error}`)
        assert.match(error.message, /blob sha256:.* of ".*team\/app".*SOME_CODE: because/)
        return true
      })
    }
  })

  test('passing refusals and broken connections are tried again', async () => {
    await using session = await opened()
    for (const status of [429, 500, 502, 503, 504]) {
      proxy.seen.length = 0
      proxy.rules = [{ path: /manifests/, times: 2, fault: { kind: 'status', status } }]
      assert.equal((await session.remote.resolve()).digest, image.target.digest)
      assert.equal(proxy.seen.length, 3, String(status))
    }
    proxy.rules = [{ path: /manifests/, times: 2, fault: { kind: 'cut', bytes: -1 } }]
    assert.equal((await session.remote.resolve()).digest, image.target.digest)
  })

  test('Retry-After is waited for', async () => {
    await using session = await opened(undefined, { maxDelayMs: 3000 })
    proxy.rules = [
      { path: /manifests/, times: 1, fault: { kind: 'status', status: 429, headers: { 'retry-after': '1' } } },
    ]
    const start = performance.now()
    await session.remote.resolve()
    assert.ok(performance.now() - start >= 950)
  })

  test('wrong bytes of a manifest are refused', async () => {
    await using session = await opened()
    const target = await session.remote.resolve()
    proxy.rules = [{ method: 'GET', path: /manifests/, fault: { kind: 'flip', at: 7 } }]
    await assert.rejects(session.remote.manifest(target), /unexpected digest sha256:.*expected sha256:/)
  })

  test('unknown repositories and tags are NOT_FOUND, with the registry named', async () => {
    await using session = await opened(`${proxy.host}/team/other:v1`)
    await assert.rejects(session.remote.resolve(), /team\/other:v1".*404.*not found$/)
    await using tagged = await opened(`${proxy.host}/team/app:v2`)
    await assert.rejects(tagged.remote.resolve(), code('NOT_FOUND'))
  })

  test('nobody at the port is UNAVAILABLE', async () => {
    const remotes = createRemotes(fast)
    await using _ = { [Symbol.asyncDispose]: () => remotes[Symbol.asyncDispose]() }
    const remote = await remotes.open('127.0.0.1:1/app')
    await assert.rejects(remote.resolve(), code('UNAVAILABLE'))
  })

  test('an aborted call ends at once', async () => {
    await using session = await opened()
    proxy.rules = [{ path: /manifests/, fault: { kind: 'delay', ms: 2000 } }]
    const start = performance.now()
    await assert.rejects(session.remote.resolve(AbortSignal.timeout(50)), code('CANCELED'))
    assert.ok(performance.now() - start < 1000)
  })

  for (const uploadChunkBytes of [0, 70_000]) {
    test(`blobs and manifests are pushed (chunks of ${uploadChunkBytes}), also past a cut`, async () => {
      await using session = await opened(`${proxy.host}/pushed/to-${uploadChunkBytes}:v1`, { uploadChunkBytes })
      const { remote } = session
      proxy.rules = [
        { method: uploadChunkBytes ? 'PATCH' : 'PUT', path: /uploads/, times: 1, fault: { kind: 'cut', bytes: -1 } },
      ]
      for (const blob of image.blobs.slice(0, -1)) {
        const descriptor = parseDescriptor('blob', descriptorOf(blob))
        const source = { open: (offset: number) => Readable.from([blob.bytes.subarray(offset)]) }
        assert.equal(await remote.pushBlob(descriptor, source), 'uploaded')
        assert.equal(await remote.pushBlob(descriptor, source), 'exists')
      }
      const target = parseDescriptor('manifest', descriptorOf(image.target))
      assert.equal(await remote.pushManifest(target, image.target.bytes, { tag: 'v1' }), 'uploaded')
      assert.equal(await remote.pushManifest(target, image.target.bytes, { tag: 'v1' }), 'exists')
      assert.equal((await remote.resolve()).digest, image.target.digest)
      const { body } = await remote.blob(layerDescriptor, 0)
      assert.deepEqual(await buffer(body), layer?.bytes)
    })
  }

  test('a blob of another repository is mounted', async () => {
    await using session = await opened(`${proxy.host}/pushed/mounted:v1`)
    const source = { open: () => assert.fail('uploaded'), mountFrom: ['team/app'] }
    assert.equal(await session.remote.pushBlob(layerDescriptor, source), 'mounted')
  })
})
