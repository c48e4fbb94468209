/** Images, leases, namespaces and containers over the wire: what containerd's clients do with them, and are told. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { ContainersDefinition } from '#api/gen/containerd/services/containers/v1/containers.ts'
import { ContentDefinition, WriteAction } from '#api/gen/containerd/services/content/v1/content.ts'
import { EventsDefinition } from '#api/gen/containerd/services/events/v1/events.ts'
import { ImagesDefinition } from '#api/gen/containerd/services/images/v1/images.ts'
import { IntrospectionDefinition } from '#api/gen/containerd/services/introspection/v1/introspection.ts'
import { LeasesDefinition } from '#api/gen/containerd/services/leases/v1/leases.ts'
import { NamespacesDefinition } from '#api/gen/containerd/services/namespaces/v1/namespaces.ts'
import { SnapshotsDefinition } from '#api/gen/containerd/services/snapshots/v1/snapshots.ts'
import { VersionDefinition } from '#api/gen/containerd/services/version/v1/version.ts'
import { HealthCheckResponse_ServingStatus, HealthDefinition } from '#api/gen/grpc/health/v1/health.ts'
import { createClient } from '#api/rpc/client.ts'
import { sha256Digest } from '#api/types/digest.ts'
import { type CoreServer, startCore } from './core-server.ts'

let core: CoreServer
before(async () => {
  core = await startCore()
})
after(async () => {
  await core[Symbol.asyncDispose]()
})

/** A namespace for each test. */
const inNs = (namespace: string) => ({ namespace })
const target = (text: string, annotations = {}) => ({
  mediaType: 'application/vnd.oci.image.manifest.v1+json',
  digest: sha256Digest(text),
  size: 10n,
  annotations,
})

test('images: create, list by filter, change by mask, delete by target', async () => {
  const images = createClient(ImagesDefinition, core.channel)
  const at = inNs('images')
  const made = await images.create({ image: { name: 'b', target: target('b', { a: '1' }), labels: { l: '1' } } }, at)
  assert.deepEqual(made.image?.createdAt, made.image?.updatedAt)
  await images.create({ image: { name: 'a', target: target('a') }, sourceDateEpoch: { seconds: 9n, nanos: 0 } }, at)
  assert.equal((await images.get({ name: 'a' }, at)).image?.createdAt?.seconds, 9n)
  const names = async (...filters: string[]) => (await images.list({ filters }, at)).images.map(({ name }) => name)
  assert.deepEqual(await names(), ['a', 'b'])
  assert.deepEqual(await names(`target.digest==${sha256Digest('b')}`), ['b'])
  assert.deepEqual(await names('name==a', 'labels.l==1'), ['a', 'b'])
  assert.deepEqual(await names('annotations.a==1,target.mediatype~=manifest'), ['b'])
  const change = { name: 'b', target: target('new'), labels: { l: '', m: '2' } }
  const { image } = await images.update({ image: change, updateMask: ['labels.l', 'labels.m'] }, at)
  assert.deepEqual([{ ...image?.labels }, image?.target?.digest], [{ m: '2' }, sha256Digest('b')])
  const whole = await images.update({ image: change }, at)
  assert.deepEqual([whole.image?.target?.digest, whole.image?.createdAt], [sha256Digest('new'), made.image?.createdAt])
  await assert.rejects(images.update({ image: change, updateMask: ['name'] }, at), { code: 'INVALID_ARGUMENT' })
  await assert.rejects(images.delete({ name: 'b', target: target('old') }, at), {
    code: 'NOT_FOUND',
    message: /has target/,
  })
  await images.delete({ name: 'b', target: target('new'), sync: true }, at)
  assert.deepEqual(await names(), ['a'])
  for (const wrong of [
    { name: '', target: target('x') },
    { name: 'x' },
    { name: 'x', target: { ...target('x'), size: 0n } },
  ])
    await assert.rejects(images.create({ image: wrong }, at), { code: 'INVALID_ARGUMENT' })
})

test('leases: an id is chosen, resources come and go, kinds are checked', async () => {
  const leases = createClient(LeasesDefinition, core.channel)
  const at = inNs('leases')
  const { lease } = await leases.create({ labels: { l: '1' } }, at)
  assert.ok(lease?.id)
  const id = lease.id
  const resource = { type: 'snapshots/overlayfs', id: 'some key' }
  await leases.addResource({ id, resource }, at)
  await leases.addResource({ id, resource }, at)
  assert.deepEqual((await leases.listResources({ id }, at)).resources, [resource])
  await leases.deleteResource({ id, resource }, at)
  assert.deepEqual((await leases.listResources({ id }, at)).resources, [])
  const add = (type: string, of: string) => leases.addResource({ id, resource: { type, id: of } }, at)
  await assert.rejects(add('content', 'no digest'), { code: 'INVALID_ARGUMENT' })
  await assert.rejects(add('snapshots', 'k'), { code: 'INVALID_ARGUMENT' })
  await assert.rejects(add('content/x', 'k'), { code: 'INVALID_ARGUMENT' })
  await assert.rejects(add('tasks', 'k'), { code: 'NOT_IMPLEMENTED' })
  await assert.rejects(leases.listResources({ id: 'none' }, at), { message: 'lease "none": not found' })
  assert.equal((await leases.list({ filters: ['labels.l==1'] }, at)).leases.length, 1)
  assert.equal((await leases.list({ filters: ['labels.l==2'] }, at)).leases.length, 0)
  await leases.delete({ id, sync: true }, at)
  assert.deepEqual((await leases.list({}, at)).leases, [])
})

test('what is deleted under a lease leaves the lease', async () => {
  const leases = createClient(LeasesDefinition, core.channel)
  const content = createClient(ContentDefinition, core.channel)
  const snapshots = createClient(SnapshotsDefinition, core.channel)
  const images = createClient(ImagesDefinition, core.channel)
  const at = { namespace: 'leaving', lease: 'l' }
  await leases.create({ id: 'l' }, at)
  const write = async (ref: string, action: WriteAction) => {
    const requests = (async function* () {
      yield { ref, action, data: Buffer.from(ref) }
    })()
    for await (const _ of content.write(requests, at));
  }
  await write('blob', WriteAction.COMMIT)
  await write('ingest', WriteAction.WRITE)
  await snapshots.prepare({ snapshotter: 'overlayfs', key: 'k' }, at)
  const labels = { 'containerd.io/gc.expire': '2999-01-01T00:00:00Z' }
  await images.create({ image: { name: 'i', target: target('i'), labels } }, at)
  assert.equal((await leases.listResources({ id: 'l' }, at)).resources.length, 4)
  await content.delete({ digest: sha256Digest('blob') }, at)
  await content.abort({ ref: 'ingest' }, at)
  await snapshots.remove({ snapshotter: 'overlayfs', key: 'k' }, at)
  await images.delete({ name: 'i' }, at)
  assert.deepEqual((await leases.listResources({ id: 'l' }, at)).resources, [])
})

test('namespaces: one springs up with its first object, and goes when it is empty', async () => {
  const namespaces = createClient(NamespacesDefinition, core.channel)
  const images = createClient(ImagesDefinition, core.channel)
  const has = async () => (await namespaces.list({})).namespaces.some(({ name }) => name === 'tenant')
  assert.equal(await has(), false)
  await images.create({ image: { name: 'i', target: target('i') } }, inNs('tenant'))
  assert.equal(await has(), true)
  const named = (labels: Record<string, string>) => ({ namespace: { name: 'tenant', labels } })
  await namespaces.update({ ...named({ a: '1', b: '2' }) })
  await namespaces.update({ ...named({ a: '', c: '3' }), updateMask: ['labels.a', 'labels.c'] })
  assert.deepEqual({ ...(await namespaces.get({ name: 'tenant' })).namespace?.labels }, { b: '2', c: '3' })
  await assert.rejects(namespaces.update({ ...named({}), updateMask: ['name'] }), {
    message: 'cannot update "name" field',
  })
  await assert.rejects(namespaces.delete({ name: 'tenant' }), { message: /still has images: failed precondition/ })
  await images.delete({ name: 'i' }, inNs('tenant'))
  await namespaces.delete({ name: 'tenant' })
  assert.equal(await has(), false)
  await assert.rejects(namespaces.create({ namespace: { name: 'a/b' } }), { code: 'INVALID_ARGUMENT' })
})

test('containers: the specification and extensions come back byte for byte; masks and immutable fields', async () => {
  const containers = createClient(ContainersDefinition, core.channel)
  const at = inNs('containers')
  const any = (text: string) => ({ typeUrl: 'types.containerd.io/x', value: Buffer.from(text) })
  const id = 'c1'
  const first = {
    id,
    labels: { l: '1' },
    image: 'img',
    runtime: { name: 'io.containerd.runc.v2', options: any('options') },
    spec: any('{ "odd":  "spacing" }'),
    snapshotter: 'overlayfs',
    snapshotKey: id,
    extensions: { e: any('\0\xff'), f: any('f') },
  }
  await containers.create({ container: first }, at)
  const { container: read } = await containers.get({ id }, at)
  assert.deepEqual(read?.spec, first.spec)
  assert.deepEqual(read?.extensions.e, first.extensions.e)
  assert.deepEqual(read?.runtime, first.runtime)
  const change = { ...first, image: 'other', labels: { l: '2' }, extensions: { e: any('new') } }
  const { container: one } = await containers.update(
    { container: change, updateMask: ['extensions.e', 'labels.l'] },
    at,
  )
  assert.deepEqual([one?.image, one?.labels.l, Object.keys(one?.extensions ?? {})], ['img', '2', ['f', 'e']])
  const { container: all } = await containers.update({ container: change }, at)
  assert.deepEqual([all?.image, Object.keys(all?.extensions ?? {})], ['other', ['e']])
  assert.deepEqual(all?.createdAt, read?.createdAt)
  assert.notDeepEqual(all?.updatedAt, read?.updatedAt)
  const refused = (container: object, updateMask?: string[]) =>
    assert.rejects(containers.update({ container, updateMask }, at), { code: 'INVALID_ARGUMENT' })
  await refused({ ...change, snapshotter: 'btrfs' })
  await refused({ ...change, runtime: { name: 'other' } })
  await refused(change, ['runtime'])
  await refused({ ...change, id: '' })
  const ids: (string | undefined)[] = []
  for await (const { container } of containers.listStream({ filters: ['runtime.name~=runc'] }, at))
    ids.push(container?.id)
  assert.deepEqual(ids, [id])
  await containers.delete({ id }, at)
  await assert.rejects(containers.delete({ id }, at), { code: 'NOT_FOUND' })
})

test('content over the wire: written in pieces, cut off, resumed, read in part', async () => {
  const content = createClient(ContentDefinition, core.channel)
  const at = inNs('content')
  const bytes = Buffer.from('0123456789'.repeat(300_000))
  const digest = sha256Digest(bytes)
  const half = bytes.length / 2
  const write = async (...requests: object[]) => {
    const answers = []
    for await (const answer of content.write(
      (async function* () {
        yield* requests
      })(),
      at,
    ))
      answers.push(answer)
    return answers
  }
  const { WRITE, STAT, COMMIT } = WriteAction
  await write({ ref: 'r', total: BigInt(bytes.length), action: WRITE, data: bytes.subarray(0, half) })
  const [stat] = await write({ ref: 'r', action: STAT })
  assert.deepEqual([stat?.offset, stat?.digest], [BigInt(half), sha256Digest(bytes.subarray(0, half))])
  const rest = { ref: 'r', action: COMMIT, offset: BigInt(half), data: bytes.subarray(half), labels: { l: '1' } }
  const done = await write({ ref: 'r', action: STAT, expected: digest }, { ...rest, expected: digest })
  assert.deepEqual([done.length, done[1]?.digest], [2, digest])
  const read: Buffer[] = []
  for await (const { data } of content.read({ digest, offset: 5n, size: 2_000_000n }, at)) read.push(data)
  assert.deepEqual(Buffer.concat(read), bytes.subarray(5, 2_000_005))
  await assert.rejects(write({ ref: 'again', expected: digest }), { code: 'ALREADY_EXISTS' })
  const none = content.read({ digest, offset: BigInt(bytes.length + 1) }, at)
  await assert.rejects(
    async () => {
      for await (const _ of none);
    },
    { code: 'OUT_OF_RANGE' },
  )
  const { info } = await content.info({ digest }, at)
  assert.deepEqual([info?.size, { ...info?.labels }], [BigInt(bytes.length), { l: '1' }])
  assert.deepEqual((await content.listStatuses({}, at)).statuses, [])
})

test('a blob that appears while another stream is about to write it ends that stream', async () => {
  const content = createClient(ContentDefinition, core.channel)
  const at = inNs('race')
  const expected = sha256Digest('x')
  const first = async function* () {
    yield { ref: 'slow', action: WriteAction.STAT }
    for await (const _ of content.write(
      (async function* () {
        yield { ref: 'quick', action: WriteAction.COMMIT, data: Buffer.from('x') }
      })(),
      at,
    ));
    yield { ref: 'slow', action: WriteAction.COMMIT, data: Buffer.from('x'), expected }
  }
  const message = `blob with expected digest ${expected} exists`
  await assert.rejects(
    async () => {
      for await (const _ of content.write(first(), at));
    },
    { code: 'ALREADY_EXISTS', message },
  )
  assert.deepEqual((await content.listStatuses({}, at)).statuses, [])
})

test('events of every change arrive, in order', async () => {
  const events = createClient(EventsDefinition, core.channel)
  const images = createClient(ImagesDefinition, core.channel)
  const snapshots = createClient(SnapshotsDefinition, core.channel)
  const stop = new AbortController()
  const topics: string[] = []
  const listening = (async () => {
    for await (const { topic } of events.subscribe({ filters: ['namespace==told'] }, { signal: stop.signal }))
      topics.push(topic)
  })().catch(() => {})
  await new Promise(resolve => setTimeout(resolve, 100))
  const at = inNs('told')
  await images.create({ image: { name: 'i', target: target('i') } }, at)
  await images.update({ image: { name: 'i', target: target('i2') } }, at)
  await snapshots.prepare({ snapshotter: 'overlayfs', key: 'k' }, at)
  await snapshots.commit({ snapshotter: 'overlayfs', key: 'k', name: 'n' }, at)
  await snapshots.remove({ snapshotter: 'overlayfs', key: 'n' }, at)
  await images.delete({ name: 'i' }, at)
  await events.publish({ topic: '/my/app', event: { typeUrl: 'x', value: Buffer.from('y') } }, at)
  await new Promise(resolve => setTimeout(resolve, 100))
  stop.abort()
  await listening
  assert.deepEqual(topics, [
    '/images/create',
    '/images/update',
    '/snapshot/prepare',
    '/snapshot/commit',
    '/snapshot/remove',
    '/images/delete',
    '/my/app',
  ])
})

test('version, introspection and health need no namespace', async () => {
  const { version } = await createClient(VersionDefinition, core.channel).version({})
  assert.match(version, /^[2-9]\.\d+\.\d+(\+[0-9A-Za-z.-]+)?$/)
  const introspection = createClient(IntrospectionDefinition, core.channel)
  const [first, second] = [await introspection.server({}), await introspection.server({})]
  assert.equal(first.uuid, second.uuid)
  assert.equal(first.pid, BigInt(process.pid))
  const { plugins } = await introspection.plugins({ filters: ['type==io.containerd.snapshotter.v1,id==overlayfs'] })
  assert.deepEqual(
    plugins.map(({ id }) => id),
    ['overlayfs'],
  )
  assert.deepEqual((await introspection.plugins({ filters: ['id==none'] })).plugins, [])
  const health = createClient(HealthDefinition, core.channel)
  assert.equal((await health.check({})).status, HealthCheckResponse_ServingStatus.SERVING)
  await assert.rejects(health.check({ service: 'none' }), { code: 'NOT_FOUND' })
  for await (const { status } of health.watch({})) {
    assert.equal(status, HealthCheckResponse_ServingStatus.SERVING)
    break
  }
})
