/**
 * Seeded chance calls every record service of a running gantryd, validly and not: each call is answered with a status
 * that is no INTERNAL, and afterwards the doctor finds the store clean.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { isGantryError } from '#api/errors/errors.ts'
import { ContainersDefinition } from '#api/gen/containerd/services/containers/v1/containers.ts'
import { ContentDefinition } from '#api/gen/containerd/services/content/v1/content.ts'
import { DiffDefinition } from '#api/gen/containerd/services/diff/v1/diff.ts'
import { ImagesDefinition } from '#api/gen/containerd/services/images/v1/images.ts'
import { LeasesDefinition } from '#api/gen/containerd/services/leases/v1/leases.ts'
import { MountsDefinition } from '#api/gen/containerd/services/mounts/v1/mounts.ts'
import { NamespacesDefinition } from '#api/gen/containerd/services/namespaces/v1/namespaces.ts'
import { ControllerDefinition, StoreDefinition } from '#api/gen/containerd/services/sandbox/v1/sandbox.ts'
import { SnapshotsDefinition } from '#api/gen/containerd/services/snapshots/v1/snapshots.ts'
import { TasksDefinition } from '#api/gen/containerd/services/tasks/v1/tasks.ts'
import { GcServiceDefinition } from '#api/gen/gantry/services/gc/v1/gc.ts'
import { type Channel, connect, createClient } from '#api/rpc/client.ts'
import type { CallOptions, ServiceDefinition } from '#api/rpc/definition.ts'
import { sha256Digest } from '#api/types/digest.ts'
import { Daemon } from '../daemon/daemon.ts'

const options = { skip: process.getuid?.() !== 0 && 'needs root' }
const seed = Number(process.env.GANTRY_TEST_SEED ?? 20261121)
const calls = Number(process.env.GANTRY_TEST_CALLS ?? 2000)
/** Calls in flight. */
const width = 8

let daemon: Daemon
let channel: Channel

before(async () => {
  if (options.skip) return
  daemon = await Daemon.start()
  channel = connect(daemon.address)
})

after(async () => {
  if (channel !== undefined) await emptyAll()
  channel?.close()
  await daemon?.[Symbol.asyncDispose]()
})

/** Over the API: the daemon's own end would run gctr for each of them. */
async function emptyAll(): Promise<void> {
  const namespaces = createClient(NamespacesDefinition, channel)
  const containers = createClient(ContainersDefinition, channel)
  for (const { name: namespace } of (await namespaces.list({})).namespaces) {
    for (const { id } of (await containers.list({}, { namespace })).containers)
      await containers.delete({ id }, { namespace })
    const mounts = createClient(MountsDefinition, channel)
    for await (const { info } of mounts.list({}, { namespace }))
      await mounts.deactivate({ name: info?.name ?? '' }, { namespace })
    // One that has images or snapshots stays.
    await namespaces.delete({ name: namespace }).catch(() => {})
  }
}

/** Park and Miller's generator. */
let state = seed
function below(n: number): number {
  state = (state * 48271) % 2147483647
  return state % n
}
const oneOf = <T>(from: readonly T[]): T => from[below(from.length)] as T

const names = ['a', 'b', 'c', 'a b', '', 'x/y', '..', 'ü', 'n'.repeat(100), 'z'.repeat(3000)]
const texts = ['one', 'two', 'three']
const digests = [...texts.map(text => sha256Digest(text)), 'sha256:abc', '', 'md5:00']
const name = () => (below(4) === 0 ? oneOf(names) : oneOf(['a', 'b', 'c', 'd']))
const digest = () => (below(5) === 0 ? oneOf(digests) : sha256Digest(oneOf(texts)))
const snapshotter = () => (below(10) === 0 ? oneOf(['', 'none', '../x']) : 'overlayfs')
const filters = () =>
  below(3) === 0 ? [oneOf(['id==', 'labels.a', 'name~=^a', 'labels."', 'kind==active', 'size==3'])] : []
const updateMask = () =>
  below(2) === 0 ? [oneOf(['labels', 'labels.k', 'id', 'target', 'spec', 'image', 'extensions.x', ''])] : []
const any = () => ({ typeUrl: oneOf(['t', '', 'a/b']), value: Buffer.from(oneOf(['{}', '', '\0'])) })
const mount = () => ({ type: oneOf(['tmpfs', 'format/overlay', 'nofs', '']), source: 'x', target: '', options: [] })

function labels(): Record<string, string> {
  const given: Record<string, string> = {}
  for (let i = below(3); i > 0; i--) {
    const label = oneOf([
      'k',
      'containerd.io/gc.ref.content',
      'containerd.io/gc.root',
      'containerd.io/gc.ref.snapshot.overlayfs',
      'containerd.io/gc.expire',
      'containerd.io/gc.bref.image',
      'containerd.io/gc.flat',
      '',
    ])
    given[label] = oneOf([name(), digest(), '2001-01-01T00:00:00Z', 'v'.repeat(below(20) === 0 ? 5000 : 1)])
  }
  return given
}

const container = () => ({
  id: name(),
  labels: labels(),
  image: name(),
  runtime: { name: oneOf(['r', '', 'io.containerd.gantry.v1']) },
  spec: oneOf([any(), undefined]),
  snapshotter: snapshotter(),
  snapshotKey: name(),
  extensions: {},
})
const image = () => ({
  name: name(),
  labels: labels(),
  target: oneOf([{ mediaType: oneOf(['m', '']), digest: digest(), size: BigInt(below(3)) }, undefined]),
})
const sandbox = () =>
  oneOf([
    { sandboxId: name(), runtime: { name: oneOf(['r', '', 'io.containerd.gantry.v1']) }, labels: labels() },
    undefined,
  ])
const resource = () =>
  oneOf([
    {
      type: oneOf(['content', 'images', 'ingests', 'snapshots/overlayfs', 'snapshots', 'x']),
      id: oneOf([digest(), name()]),
    },
    undefined,
  ])

async function* written() {
  for (let i = below(3); i >= 0; i--)
    yield {
      action: below(4),
      ref: below(8) === 0 ? '' : name(),
      data: Buffer.from(oneOf(texts)),
      offset: BigInt(oneOf([0, 0, 0, 3, -1])),
      total: BigInt(oneOf([0, 0, 3, 99])),
      expected: below(2) === 0 ? digest() : '',
      labels: labels(),
    }
}

/** Every method of every record service, with a request by chance. */
const requests: [ServiceDefinition, string, () => unknown][] = [
  [ContainersDefinition, 'get', () => ({ id: name() })],
  [ContainersDefinition, 'list', () => ({ filters: filters() })],
  [ContainersDefinition, 'listStream', () => ({ filters: filters() })],
  [ContainersDefinition, 'create', () => ({ container: container() })],
  [ContainersDefinition, 'update', () => ({ container: container(), updateMask: updateMask() })],
  [ContainersDefinition, 'delete', () => ({ id: name() })],
  [ContentDefinition, 'info', () => ({ digest: digest() })],
  [ContentDefinition, 'update', () => ({ info: { digest: digest(), labels: labels() }, updateMask: updateMask() })],
  [ContentDefinition, 'list', () => ({ filters: filters() })],
  [ContentDefinition, 'delete', () => ({ digest: digest() })],
  [ContentDefinition, 'read', () => ({ digest: digest(), offset: BigInt(below(9) - 2), size: BigInt(below(9) - 2) })],
  [ContentDefinition, 'status', () => ({ ref: name() })],
  [ContentDefinition, 'listStatuses', () => ({ filters: filters() })],
  [ContentDefinition, 'write', written],
  [ContentDefinition, 'write', written],
  [ContentDefinition, 'abort', () => ({ ref: name() })],
  [DiffDefinition, 'apply', () => ({ diff: { mediaType: 'm', digest: digest() }, mounts: [] })],
  [ImagesDefinition, 'get', () => ({ name: name() })],
  [ImagesDefinition, 'list', () => ({ filters: filters() })],
  [ImagesDefinition, 'create', () => ({ image: image() })],
  [ImagesDefinition, 'update', () => ({ image: image(), updateMask: updateMask() })],
  [
    ImagesDefinition,
    'delete',
    () => ({ name: name(), sync: below(4) === 0, target: oneOf([undefined, { digest: digest() }]) }),
  ],
  [LeasesDefinition, 'create', () => ({ id: name(), labels: labels() })],
  [LeasesDefinition, 'delete', () => ({ id: name(), sync: below(4) === 0 })],
  [LeasesDefinition, 'list', () => ({ filters: filters() })],
  [LeasesDefinition, 'addResource', () => ({ id: name(), resource: resource() })],
  [LeasesDefinition, 'deleteResource', () => ({ id: name(), resource: resource() })],
  [LeasesDefinition, 'listResources', () => ({ id: name() })],
  [
    MountsDefinition,
    'activate',
    () => ({
      name: name(),
      mounts: Array.from({ length: below(3) }, mount),
      labels: labels(),
      temporary: below(2) === 0,
    }),
  ],
  [MountsDefinition, 'deactivate', () => ({ name: name() })],
  [MountsDefinition, 'info', () => ({ name: name() })],
  [MountsDefinition, 'update', () => ({ info: { name: name(), labels: labels() }, updateMask: updateMask() })],
  [MountsDefinition, 'list', () => ({ filters: filters() })],
  [NamespacesDefinition, 'get', () => ({ name: name() })],
  [NamespacesDefinition, 'list', () => ({})],
  [NamespacesDefinition, 'create', () => ({ namespace: { name: name(), labels: labels() } })],
  [NamespacesDefinition, 'update', () => ({ namespace: { name: name(), labels: labels() }, updateMask: updateMask() })],
  [NamespacesDefinition, 'delete', () => ({ name: name() })],
  [StoreDefinition, 'create', () => ({ sandbox: sandbox() })],
  [StoreDefinition, 'update', () => ({ sandbox: sandbox(), fields: updateMask() })],
  [StoreDefinition, 'delete', () => ({ sandboxId: name() })],
  [StoreDefinition, 'list', () => ({ filters: filters() })],
  [StoreDefinition, 'get', () => ({ sandboxId: name() })],
  [ControllerDefinition, 'status', () => ({ sandboxId: name(), sandboxer: oneOf(['shim', '', 'x']) })],
  [ControllerDefinition, 'stop', () => ({ sandboxId: name(), sandboxer: oneOf(['shim', '', 'x']) })],
  [
    ControllerDefinition,
    'create',
    () => ({
      sandboxId: name(),
      sandboxer: oneOf(['shim', '', 'x']),
      sandbox: oneOf([{ sandboxId: name(), runtime: { name: oneOf(['r', 'io.none.v1']) } }, undefined]),
    }),
  ],
  [
    SnapshotsDefinition,
    'prepare',
    () => ({ snapshotter: snapshotter(), key: name(), parent: oneOf(['', name()]), labels: labels() }),
  ],
  [
    SnapshotsDefinition,
    'view',
    () => ({ snapshotter: snapshotter(), key: name(), parent: oneOf(['', name()]), labels: labels() }),
  ],
  [SnapshotsDefinition, 'mounts', () => ({ snapshotter: snapshotter(), key: name() })],
  [SnapshotsDefinition, 'commit', () => ({ snapshotter: snapshotter(), name: name(), key: name(), labels: labels() })],
  [SnapshotsDefinition, 'remove', () => ({ snapshotter: snapshotter(), key: name() })],
  [SnapshotsDefinition, 'stat', () => ({ snapshotter: snapshotter(), key: name() })],
  [
    SnapshotsDefinition,
    'update',
    () => ({ snapshotter: snapshotter(), info: { name: name(), labels: labels() }, updateMask: updateMask() }),
  ],
  [SnapshotsDefinition, 'list', () => ({ snapshotter: snapshotter(), filters: filters() })],
  [SnapshotsDefinition, 'usage', () => ({ snapshotter: snapshotter(), key: name() })],
  [TasksDefinition, 'get', () => ({ containerId: name() })],
  [TasksDefinition, 'kill', () => ({ containerId: name(), signal: below(70) })],
  [TasksDefinition, 'list', () => ({})],
  [TasksDefinition, 'delete', () => ({ containerId: name() })],
  [GcServiceDefinition, 'plan', () => ({})],
  [GcServiceDefinition, 'explain', () => ({ ref: oneOf([name(), digest()]) })],
]

type Method = (request: unknown, options: CallOptions) => Promise<unknown> & AsyncIterable<unknown>

/** Makes one call, to its end; answers the code of its failure. */
async function call(definition: ServiceDefinition, method: string, request: unknown, at: CallOptions): Promise<string> {
  try {
    const answer = (createClient(definition, channel) as Record<string, Method>)[method]?.(request, at)
    if (definition.methods[method]?.responseStream) for await (const _ of answer ?? []);
    else await answer
    return 'OK'
  } catch (error) {
    if (isGantryError(error))
      return error.code === 'INTERNAL' || error.code === 'UNKNOWN' ? `${error.code}: ${error.message}` : error.code
    throw error
  }
}

test(`${calls} calls by chance (seed ${seed})`, options, async t => {
  const answers: Record<string, number> = {}
  const wrong: string[] = []
  let left = calls
  const worker = async () => {
    while (left-- > 0) {
      const [definition, method, make] = oneOf(requests)
      const at: CallOptions = {
        namespace: below(20) === 0 ? oneOf(['', 'a/b', 'ü']) : oneOf(['one', 'two']),
        ...(below(3) === 0 && { lease: name() }),
        deadlineMs: 60_000,
      }
      const code = await call(definition, method, make(), at)
      const kind = code.split(':')[0] ?? ''
      answers[kind] = (answers[kind] ?? 0) + 1
      if (kind !== code) wrong.push(`${definition.fullName}/${method}: ${code}`)
    }
  }
  await Promise.all(Array.from({ length: width }, worker))
  t.diagnostic(JSON.stringify(answers))
  assert.deepEqual(wrong, [], daemon.log.slice(-2000))
  assert.ok((answers.OK ?? 0) > calls / 10, JSON.stringify(answers))
  const { code, stdout, stderr } = await daemon.run('doctor', '--deep')
  assert.equal(code, 0, `${stdout}${stderr}`)
})
