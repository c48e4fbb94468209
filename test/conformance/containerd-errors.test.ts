/**
 * What containerd 1.6.20 answered to these calls (containerd-errors.txt: probed), asked of our services over a real
 * socket: same status code, same message.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { errorTable, GantryError } from '#api/errors/errors.ts'
import { ContainersDefinition } from '#api/gen/containerd/services/containers/v1/containers.ts'
import { ContentDefinition, WriteAction } from '#api/gen/containerd/services/content/v1/content.ts'
import { DiffDefinition } from '#api/gen/containerd/services/diff/v1/diff.ts'
import { EventsDefinition } from '#api/gen/containerd/services/events/v1/events.ts'
import { ImagesDefinition } from '#api/gen/containerd/services/images/v1/images.ts'
import { LeasesDefinition } from '#api/gen/containerd/services/leases/v1/leases.ts'
import { NamespacesDefinition } from '#api/gen/containerd/services/namespaces/v1/namespaces.ts'
import { SnapshotsDefinition } from '#api/gen/containerd/services/snapshots/v1/snapshots.ts'
import { TasksDefinition } from '#api/gen/containerd/services/tasks/v1/tasks.ts'
import { Empty } from '#api/gen/google/protobuf/empty.ts'
import { type Channel, connect, createClient } from '#api/rpc/client.ts'
import { sha256Digest } from '#api/types/digest.ts'
import { Daemon } from '../daemon/daemon.ts'
import { type CoreServer, startCore } from './core-server.ts'

/** Rows of services that need the whole daemon. */
const ofDaemon = ['task get missing', 'task create missing ctr', 'task kill missing', 'diff apply no mount']
const unprivileged = process.getuid?.() !== 0 && 'gantryd needs root'

let core: CoreServer
let daemon: Daemon
let daemonChannel: Channel
before(async () => {
  core = await startCore()
  if (unprivileged) return
  daemon = await Daemon.start()
  daemonChannel = connect(daemon.address)
})
after(async () => {
  await core[Symbol.asyncDispose]()
  daemonChannel?.close()
  await daemon?.[Symbol.asyncDispose]()
})

const zeros = `sha256:${'0'.repeat(64)}`
const namespace = 'default'
const inDefault = { namespace }
const spec = { typeUrl: 'types.containerd.io/opencontainers/runtime-spec/1/Spec', value: Buffer.from('{}') }
const snapshotter = 'overlayfs'

const containers = () => createClient(ContainersDefinition, core.channel)
const content = () => createClient(ContentDefinition, core.channel)
const images = () => createClient(ImagesDefinition, core.channel)
const leases = () => createClient(LeasesDefinition, core.channel)
const namespaces = () => createClient(NamespacesDefinition, core.channel)
const snapshots = () => createClient(SnapshotsDefinition, core.channel)
const events = () => createClient(EventsDefinition, core.channel)
const tasks = () => createClient(TasksDefinition, daemonChannel)

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

/** Calls by the file's names, in its order: later ones build on earlier ones. */
const calls: Readonly<Record<string, () => Promise<unknown>>> = {
  'no ns': () => containers().list({}),
  'bad ns': () => containers().list({}, { namespace: 'a/b' }),
  'unknown method': () => unlisted('containerd.services.containers.v1.Containers', 'Nope'),
  'unknown service': () => unlisted('containerd.services.mounts.v1.Mounts', 'List'),
  'get missing ctr': () => containers().get({ id: 'nope' }, inDefault),
  'create empty id': () => create(''),
  'create bad id': () => create('a b'),
  'create no runtime': () => create('x1', { runtime: undefined }),
  'create no spec': () => create('x1', { spec: undefined }),
  'create ok': () => create('x1'),
  'create dup': () => create('x1'),
  'list bad filter': () => containers().list({ filters: ['id=='] }, inDefault),
  'task get missing': () => tasks().get({ containerId: 'x1' }, inDefault),
  'task create missing ctr': () => tasks().create({ containerId: 'nope' }, inDefault),
  'task kill missing': () => tasks().kill({ containerId: 'nope', signal: 9 }, inDefault),
  'diff apply no mount': () => createClient(DiffDefinition, daemonChannel).apply({ diff: {} }, inDefault),
  'img get missing': () => images().get({ name: 'nope' }, inDefault),
  'img delete missing': () => images().delete({ name: 'nope' }, inDefault),
  'content info missing': () => content().info({ digest: zeros }, inDefault),
  'content info bad': () => content().info({ digest: 'abc' }, inDefault),
  'content abort missing': () => content().abort({ ref: 'abc' }, inDefault),
  'content write no ref': () => write({}),
  'write wrong digest': () => write({ ...hello, expected: zeros }),
  'status after': () => content().status({ ref: 'r1' }, inDefault),
  'write wrong size': () => write({ ...hello, ref: 'r2', total: 9n }),
  'write bad offset': () => write({ ref: 'r3', data: Buffer.from('x'), offset: 3n, action: WriteAction.WRITE }),
  'snap stat missing': () => snapshots().stat({ snapshotter, key: 'nope' }, inDefault),
  'snap unknown snapshotter': () => snapshots().stat({ snapshotter: 'xx', key: 'nope' }, inDefault),
  'snap empty snapshotter': () => snapshots().stat({ key: 'nope' }, inDefault),
  'snap prepare a': () => snapshots().prepare({ snapshotter, key: 'a' }, inDefault),
  'snap prepare a dup': () => snapshots().prepare({ snapshotter, key: 'a' }, inDefault),
  'snap prepare active parent': () => snapshots().prepare({ snapshotter, key: 'b', parent: 'a' }, inDefault),
  'snap prepare missing parent': () => snapshots().prepare({ snapshotter, key: 'b', parent: 'zz' }, inDefault),
  'snap view v': () => snapshots().view({ snapshotter, key: 'v' }, inDefault),
  'snap commit view': () => snapshots().commit({ snapshotter, name: 'vc', key: 'v' }, inDefault),
  'snap commit a->c': () => snapshots().commit({ snapshotter, name: 'c', key: 'a' }, inDefault),
  'snap commit again': () => snapshots().commit({ snapshotter, name: 'c', key: 'a' }, inDefault),
  'snap mounts committed': () => snapshots().mounts({ snapshotter, key: 'c' }, inDefault),
  'snap prepare child': () => snapshots().prepare({ snapshotter, key: 'child', parent: 'c' }, inDefault),
  'snap rm with child': () => snapshots().remove({ snapshotter, key: 'c' }, inDefault),
  'snap rm missing': () => snapshots().remove({ snapshotter, key: 'zz' }, inDefault),
  'snap update immutable': () =>
    snapshots().update({ snapshotter, info: { name: 'c' }, updateMask: ['parent'] }, inDefault),
  'snap cleanup': () => snapshots().cleanup({ snapshotter }, inDefault),
  'lease create dup 1': () => leases().create({ id: 'L1' }, inDefault),
  'lease create dup 2': () => leases().create({ id: 'L1' }, inDefault),
  'lease rm missing': () => leases().delete({ id: 'L2' }, inDefault),
  'prep with missing lease': () => snapshots().prepare({ snapshotter, key: 'pl' }, { namespace, lease: 'none' }),
  'ns get missing': () => namespaces().get({ name: 'zzz' }),
  'ns delete missing': () => namespaces().delete({ name: 'zzz' }),
  'ns delete nonempty': () => namespaces().delete({ name: 'default' }),
  'ns create dup': () => namespaces().create({ namespace: { name: 'default' } }),
  'label too long': () => create('x2', { labels: { k: 'v'.repeat(4096) } }),
  'events publish bad topic': () => events().publish({ topic: 'notopic' }, inDefault),
  'events publish no ns': () => events().publish({ topic: '/x' }),
}

async function fillNamespace(): Promise<void> {
  await write({ ref: 'fill', data: Buffer.from('fill'), action: WriteAction.COMMIT })
  const target = { mediaType: 'm', digest: sha256Digest('fill'), size: 4n }
  await images().create({ image: { name: 'i', target } }, inDefault)
}

/** A line of the file: `name   Service/Method   {"grpc-status":"5","grpc-message":"…"} len N`. */
function parseLine(line: string): { name: string; status: number; message: string } {
  const { groups } = /^(?<name>.{34}) \S+\s+(?<answer>\{.*\}) len \d+$/.exec(line) ?? {}
  const answer = JSON.parse(groups?.answer ?? 'null')
  return { name: groups?.name?.trim() ?? '', status: Number(answer['grpc-status']), message: answer['grpc-message'] }
}

const rows = readFileSync(join(import.meta.dirname, 'containerd-errors.txt'), 'utf8')
  .split('\n')
  .filter(line => line !== '')
  .map(parseLine)

test('every row of the file has its call', () => {
  const missing = rows.filter(({ name }) => calls[name] === undefined).map(({ name }) => name)
  assert.deepEqual([rows.length > 50, missing], [true, []])
})

for (const { name, status, message } of rows)
  test(name, { skip: ofDaemon.includes(name) && unprivileged }, async () => {
    if (name === 'ns delete nonempty') await fillNamespace()
    const error = await calls[name]?.().then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
    if (status === 0) {
      assert.equal(error, undefined)
      return
    }
    assert.ok(error instanceof GantryError, `${error}`)
    // containerd numbers its backend keys per snapshotter, we number ours per daemon.
    const plain = (text: string) => text.replace(/default\/\d+\//, 'default/N/')
    assert.deepEqual([errorTable[error.code].grpc, plain(error.message)], [status, plain(message)])
  })
