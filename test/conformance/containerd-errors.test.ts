/**
 * What containerd 1.6.20 answered to these calls, asked of our services over a real socket: same status code, same
 * message. Rows of services that live elsewhere (tasks, diff) are tested there.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { errorTable, GantryError } from '#api/errors/errors.ts'
import { ContainersDefinition } from '#api/gen/containerd/services/containers/v1/containers.ts'
import { ContentDefinition, WriteAction } from '#api/gen/containerd/services/content/v1/content.ts'
import { EventsDefinition } from '#api/gen/containerd/services/events/v1/events.ts'
import { ImagesDefinition } from '#api/gen/containerd/services/images/v1/images.ts'
import { LeasesDefinition } from '#api/gen/containerd/services/leases/v1/leases.ts'
import { NamespacesDefinition } from '#api/gen/containerd/services/namespaces/v1/namespaces.ts'
import { SnapshotsDefinition } from '#api/gen/containerd/services/snapshots/v1/snapshots.ts'
import { Empty } from '#api/gen/google/protobuf/empty.ts'
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

const zeros = `sha256:${'0'.repeat(64)}`
const namespace = 'default'
const inDefault = { namespace }
const pattern = '^[A-Za-z0-9]+(?:[._-](?:[A-Za-z0-9]+))*$'
const spec = { typeUrl: 'types.containerd.io/opencontainers/runtime-spec/1/Spec', value: Buffer.from('{}') }
const snapshotter = 'overlayfs'

const containers = () => createClient(ContainersDefinition, core.channel)
const content = () => createClient(ContentDefinition, core.channel)
const images = () => createClient(ImagesDefinition, core.channel)
const leases = () => createClient(LeasesDefinition, core.channel)
const namespaces = () => createClient(NamespacesDefinition, core.channel)
const snapshots = () => createClient(SnapshotsDefinition, core.channel)
const events = () => createClient(EventsDefinition, core.channel)

const container = (id: string, more: object = {}) => ({ id, runtime: { name: 'r' }, spec, ...more })
const create = (id: string, more?: object) => containers().create({ container: container(id, more) }, inDefault)

/** Calls a method no table has. */
function unlisted(service: string, name: string): Promise<unknown> {
  const method = { name, requestType: Empty, requestStream: false, responseType: Empty, responseStream: false } as const
  return createClient({ fullName: service, methods: { method } }, core.channel).method({}, inDefault)
}

async function write(request: object): Promise<unknown> {
  const answers: unknown[] = []
  for await (const answer of content().write(
    (async function* () {
      yield request
    })(),
    inDefault,
  ))
    answers.push(answer)
  return answers.at(-1)
}

const hello = { ref: 'r1', data: Buffer.from('hello'), action: WriteAction.COMMIT }

/** In this order: later rows build on earlier ones. Status 0 wants no error. */
const rows: [name: string, call: () => Promise<unknown>, status: number, message: string][] = [
  ['no ns', () => containers().list({}), 9, 'namespace is required: failed precondition'],
  [
    'bad ns',
    () => containers().list({}, { namespace: 'a/b' }),
    3,
    `namespace validation: identifier "a/b" must match ${pattern}: invalid argument`,
  ],
  [
    'unknown method',
    () => unlisted('containerd.services.containers.v1.Containers', 'Nope'),
    12,
    'unknown method Nope for service containerd.services.containers.v1.Containers',
  ],
  [
    'unknown service',
    () => unlisted('containerd.services.mounts.v1.Mounts', 'List'),
    12,
    'unknown service containerd.services.mounts.v1.Mounts',
  ],
  [
    'get missing ctr',
    () => containers().get({ id: 'nope' }, inDefault),
    5,
    'container "nope" in namespace "default": not found',
  ],
  [
    'create empty id',
    () => create(''),
    3,
    'create container failed validation: container.ID: identifier must not be empty: invalid argument',
  ],
  [
    'create bad id',
    () => create('a b'),
    3,
    `create container failed validation: container.ID: identifier "a b" must match ${pattern}: invalid argument`,
  ],
  [
    'create no runtime',
    () => create('x1', { runtime: undefined }),
    3,
    'create container failed validation: container.Runtime.Name must be set: invalid argument',
  ],
  [
    'create no spec',
    () => create('x1', { spec: undefined }),
    3,
    'create container failed validation: container.Spec must be set: invalid argument',
  ],
  ['create ok', () => create('x1'), 0, ''],
  ['create dup', () => create('x1'), 6, 'container "x1": already exists'],
  [
    'list bad filter',
    () => containers().list({ filters: ['id=='] }, inDefault),
    3,
    'filters: parse error: [id==]: expected value or quoted: invalid argument: invalid argument',
  ],
  ['img get missing', () => images().get({ name: 'nope' }, inDefault), 5, 'image "nope": not found'],
  ['img delete missing', () => images().delete({ name: 'nope' }, inDefault), 5, 'image "nope": not found'],
  ['content info missing', () => content().info({ digest: zeros }, inDefault), 5, `content digest ${zeros}: not found`],
  ['content info bad', () => content().info({ digest: 'abc' }, inDefault), 3, '"abc" failed validation'],
  ['content abort missing', () => content().abort({ ref: 'abc' }, inDefault), 5, 'reference abc: not found'],
  ['content write no ref', () => write({}), 3, 'first message must have a reference'],
  [
    'write wrong digest',
    () => write({ ...hello, expected: zeros }),
    9,
    `unexpected commit digest ${sha256Digest('hello')}, expected ${zeros}: failed precondition`,
  ],
  ['status after', () => content().status({ ref: 'r1' }, inDefault), 0, ''],
  [
    'write wrong size',
    () => write({ ...hello, ref: 'r2', total: 9n }),
    9,
    '"r2" failed size validation: 5 != 9: failed precondition',
  ],
  [
    'write bad offset',
    () => write({ ref: 'r3', data: Buffer.from('x'), offset: 3n, action: WriteAction.WRITE }),
    11,
    'write @3 must occur at current offset 0',
  ],
  [
    'snap stat missing',
    () => snapshots().stat({ snapshotter, key: 'nope' }, inDefault),
    5,
    'snapshot nope does not exist: not found',
  ],
  [
    'snap unknown snapshotter',
    () => snapshots().stat({ snapshotter: 'xx', key: 'nope' }, inDefault),
    3,
    'snapshotter not loaded: xx: invalid argument',
  ],
  [
    'snap empty snapshotter',
    () => snapshots().stat({ key: 'nope' }, inDefault),
    3,
    'snapshotter argument missing: invalid argument',
  ],
  ['snap prepare a', () => snapshots().prepare({ snapshotter, key: 'a' }, inDefault), 0, ''],
  [
    'snap prepare a dup',
    () => snapshots().prepare({ snapshotter, key: 'a' }, inDefault),
    6,
    'snapshot "a": already exists',
  ],
  [
    'snap prepare active parent',
    () => snapshots().prepare({ snapshotter, key: 'b', parent: 'a' }, inDefault),
    3,
    'failed to create snapshot: parent "default/N/a" is not committed snapshot: invalid argument',
  ],
  [
    'snap prepare missing parent',
    () => snapshots().prepare({ snapshotter, key: 'b', parent: 'zz' }, inDefault),
    5,
    'parent snapshot zz does not exist: not found',
  ],
  ['snap view v', () => snapshots().view({ snapshotter, key: 'v' }, inDefault), 0, ''],
  [
    'snap commit view',
    () => snapshots().commit({ snapshotter, name: 'vc', key: 'v' }, inDefault),
    9,
    'failed to commit snapshot: snapshot "default/N/v" is not active: failed precondition',
  ],
  ['snap commit a->c', () => snapshots().commit({ snapshotter, name: 'c', key: 'a' }, inDefault), 0, ''],
  [
    'snap commit again',
    () => snapshots().commit({ snapshotter, name: 'c', key: 'a' }, inDefault),
    6,
    'snapshot "c": already exists',
  ],
  [
    'snap mounts committed',
    () => snapshots().mounts({ snapshotter, key: 'c' }, inDefault),
    9,
    'failed to get active mount: requested snapshot default/N/c not active or view: failed precondition',
  ],
  ['snap prepare child', () => snapshots().prepare({ snapshotter, key: 'child', parent: 'c' }, inDefault), 0, ''],
  [
    'snap rm with child',
    () => snapshots().remove({ snapshotter, key: 'c' }, inDefault),
    9,
    'cannot remove snapshot with child: failed precondition',
  ],
  [
    'snap rm missing',
    () => snapshots().remove({ snapshotter, key: 'zz' }, inDefault),
    5,
    'snapshot zz does not exist: not found',
  ],
  [
    'snap update immutable',
    () => snapshots().update({ snapshotter, info: { name: 'c' }, updateMask: ['parent'] }, inDefault),
    3,
    'cannot update "parent" field on snapshot "c": invalid argument',
  ],
  [
    'snap cleanup',
    () => snapshots().cleanup({ snapshotter }, inDefault),
    12,
    'snapshotter does not implement Cleanup method: not implemented',
  ],
  ['lease create dup 1', () => leases().create({ id: 'L1' }, inDefault), 0, ''],
  ['lease create dup 2', () => leases().create({ id: 'L1' }, inDefault), 6, 'lease "L1": already exists'],
  ['lease rm missing', () => leases().delete({ id: 'L2' }, inDefault), 5, 'lease "L2": not found'],
  [
    'prep with missing lease',
    () => snapshots().prepare({ snapshotter, key: 'pl' }, { namespace, lease: 'none' }),
    5,
    'lease does not exist: not found',
  ],
  ['ns get missing', () => namespaces().get({ name: 'zzz' }), 0, ''],
  ['ns delete missing', () => namespaces().delete({ name: 'zzz' }), 5, 'namespace "zzz": not found'],
  ['(an image and a blob, so that the namespace has all kinds)', fillNamespace, 0, ''],
  [
    'ns delete nonempty',
    () => namespaces().delete({ name: 'default' }),
    9,
    'namespace "default" must be empty, but it still has images, blobs, containers, snapshots on "overlayfs" snapshotter: failed precondition',
  ],
  [
    'ns create dup',
    () => namespaces().create({ namespace: { name: 'default' } }),
    6,
    'namespace "default": already exists',
  ],
  [
    'label too long',
    () => create('x2', { labels: { k: 'v'.repeat(4096) } }),
    3,
    'create container failed validation: containers.Labels: label key and value greater than maximum size (4096 bytes), key: k: invalid argument',
  ],
  [
    'events publish bad topic',
    () => events().publish({ topic: 'notopic' }, inDefault),
    3,
    'envelope topic "notopic": must start with \'/\': invalid argument',
  ],
  [
    'events publish no ns',
    () => events().publish({ topic: '/x' }),
    9,
    'failed publishing event: namespace is required: failed precondition',
  ],
]

async function fillNamespace(): Promise<void> {
  await write({ ref: 'fill', data: Buffer.from('fill'), action: WriteAction.COMMIT })
  const target = { mediaType: 'm', digest: sha256Digest('fill'), size: 4n }
  await images().create({ image: { name: 'i', target } }, inDefault)
}

for (const [name, call, status, message] of rows)
  test(name, async () => {
    const error = await call().then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
    if (status === 0) {
      assert.equal(error, undefined)
      return
    }
    assert.ok(error instanceof GantryError, `${error}`)
    // containerd numbers its backend keys per snapshotter, we number ours per daemon.
    const told = error.message.replace(/default\/\d+\//, 'default/N/')
    assert.deepEqual([errorTable[error.code].grpc, told], [status, message])
  })
