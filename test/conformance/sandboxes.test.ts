/** containerd.services.sandbox.v1 on a running gantryd: records, and sandboxes run by a shim that offers to. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { EventsDefinition } from '#api/gen/containerd/services/events/v1/events.ts'
import { IntrospectionDefinition } from '#api/gen/containerd/services/introspection/v1/introspection.ts'
import { NamespacesDefinition } from '#api/gen/containerd/services/namespaces/v1/namespaces.ts'
import { ControllerDefinition, StoreDefinition } from '#api/gen/containerd/services/sandbox/v1/sandbox.ts'
import { VersionDefinition } from '#api/gen/containerd/services/version/v1/version.ts'
import { type Channel, connect, createClient } from '#api/rpc/client.ts'
import { processAlive } from '#api/sys/sys.ts'
import { gitRevision } from '#core/version/version.ts'
import { Daemon } from '../daemon/daemon.ts'
import { runCommand } from '../daemon/run-command.ts'

const unprivileged = process.getuid?.() !== 0 && 'needs root'
const options = { skip: unprivileged }
const namespace = 'default'
const sandboxer = 'shim'
let daemon: Daemon
let channel: Channel
/** Path of a shim's executable, which is a runtime's name too. */
let runtime: string

const store = () => createClient(StoreDefinition, channel)
const controller = () => createClient(ControllerDefinition, channel)

before(async () => {
  if (unprivileged) return
  daemon = await Daemon.start()
  channel = connect(daemon.address, { namespace })
  runtime = join(daemon.folder, 'containerd-shim-sandboxtest-v1')
  const fixture = join(import.meta.dirname, '../../core/sandbox/testing/sandbox-shim.ts')
  await writeFile(runtime, `#!/bin/sh\nexec ${process.execPath} ${fixture} "$@"\n`, { mode: 0o755 })
})

after(async () => {
  channel?.close()
  await daemon?.[Symbol.asyncDispose]()
})

test("records: create, get, list by filter, update by field, delete; in containerd's words", options, async () => {
  const any = (text: string) => ({ typeUrl: 't', value: Buffer.from(text) })
  await assert.rejects(store().get({ sandboxId: 's' }), { code: 'NOT_FOUND', message: 'no sandbox buckets: not found' })
  const first = {
    sandboxId: 's',
    runtime: { name: 'r', options: any('o') },
    spec: any('spec'),
    labels: { l: '1' },
    extensions: { e: any('e') },
    sandboxer,
  }
  const { sandbox } = await store().create({ sandbox: first })
  assert.deepEqual(sandbox?.createdAt, sandbox?.updatedAt)
  await assert.rejects(store().create({ sandbox: first }), {
    code: 'ALREADY_EXISTS',
    message: 'write error: sandbox bucket "s" already exists: already exists',
  })
  await assert.rejects(
    store().create({ sandbox: { ...first, sandboxId: 'a b' } }),
    /failed to validate sandbox: invalid sandbox ID: identifier "a b" must match/,
  )
  const read = (await store().get({ sandboxId: 's' })).sandbox
  assert.deepEqual([read?.spec, read?.runtime, read?.sandboxer], [first.spec, first.runtime, sandboxer])
  await assert.rejects(store().get({ sandboxId: 'none' }), { message: 'bucket "none" not found: not found' })
  assert.equal((await store().list({ filters: ['labels.l==1'] })).list.length, 1)
  assert.equal((await store().list({ filters: ['id==none'] })).list.length, 0)
  const change = { ...first, labels: { l: '2', m: '3' }, extensions: {}, runtime: { name: 'other' } }
  const some = await store().update({ sandbox: change, fields: ['labels.m'] })
  assert.deepEqual([{ ...some.sandbox?.labels }, some.sandbox?.runtime?.name], [{ l: '1', m: '3' }, 'r'])
  await assert.rejects(store().update({ sandbox: change }), {
    message: 'sandbox.Runtime.Name field is immutable: invalid argument',
  })
  await assert.rejects(store().update({ sandbox: change, fields: ['id'] }), {
    message: 'cannot update "id" field on sandbox "s": invalid argument',
  })
  await store().delete({ sandboxId: 's' })
  await assert.rejects(store().delete({ sandboxId: 's' }), { code: 'NOT_FOUND' })
})

test('a record keeps what its labels name, and its namespace', options, async () => {
  const text = `kept by a sandbox`
  const made = await daemon.run('--format', 'json', 'leases', 'create', '--id', 'l')
  assert.equal(made.code, 0, made.stderr)
  const sandbox = { sandboxId: 'keeper', runtime: { name: 'r' }, labels: { 'containerd.io/gc.ref.image': text } }
  await store().create({ sandbox })
  const { stdout } = await daemon.run('gc', 'explain', 'keeper')
  assert.match(stdout, /^sandbox keeper: kept by\n {2}sandbox keeper \(sandbox\)\n$/)
  await store().delete({ sandboxId: 'keeper' })
  await daemon.run('leases', 'rm', 'l')
})

test('a whole life, with a restart of the daemon in its middle; events on the way', options, async () => {
  const stop = new AbortController()
  const topics: string[] = []
  const listening = (async () => {
    const envelopes = createClient(EventsDefinition, channel).subscribe(
      { filters: ['topic~=sandboxes'] },
      { signal: stop.signal },
    )
    for await (const { topic } of envelopes) topics.push(topic)
  })().catch(() => {})
  await store().create({ sandbox: { sandboxId: 'one', runtime: { name: runtime }, sandboxer } })
  await controller().create({ sandboxId: 'one', sandboxer, netnsPath: '/n' })
  await assert.rejects(controller().create({ sandboxId: 'one', sandboxer }), {
    code: 'ALREADY_EXISTS',
    message: 'sandbox one already running: already exists',
  })
  const { pid } = await controller().start({ sandboxId: 'one', sandboxer })
  assert.ok(processAlive(pid))
  assert.equal((await controller().platform({ sandboxId: 'one', sandboxer })).platform?.os, 'linux')
  assert.equal((await controller().metrics({ sandboxId: 'one', sandboxer })).metrics?.id, 'one')
  const bundle = join(daemon.state, 'sb/io.containerd.runtime.v2.task/default/one')
  assert.deepEqual(JSON.parse(await readFile(join(bundle, 'request.json'), 'utf8')), {
    sandboxId: 'one',
    netnsPath: '/n',
    bundlePath: bundle,
  })
  stop.abort()
  await listening
  assert.deepEqual(topics, ['/sandboxes/create', '/sandboxes/start'])

  await daemon.stop()
  await daemon.start()
  const status = await controller().status({ sandboxId: 'one', sandboxer, verbose: true })
  assert.deepEqual([status.pid, status.state, { ...status.info }], [pid, 'SANDBOX_READY', { shim: 'test' }])
  const waiting = controller().wait({ sandboxId: 'one', sandboxer })
  await controller().stop({ sandboxId: 'one', sandboxer, timeoutSecs: 5 })
  assert.equal((await waiting).exitStatus, 143)
  assert.equal((await controller().status({ sandboxId: 'one', sandboxer })).state, 'SANDBOX_NOTREADY')
  await controller().shutdown({ sandboxId: 'one', sandboxer })
  assert.ok(!existsSync(bundle))
  await assert.rejects(controller().shutdown({ sandboxId: 'one', sandboxer }), { code: 'NOT_FOUND' })
  await controller().stop({ sandboxId: 'one', sandboxer })
  const gone = await controller().status({ sandboxId: 'one', sandboxer })
  assert.deepEqual([gone.state, gone.exitedAt !== undefined], ['', true])
  await store().delete({ sandboxId: 'one' })
})

/** Of Debian's containerd 1.6, which had no sandboxes. */
const oldShim = '/usr/bin/containerd-shim-runc-v2'
const withOldShim = { skip: unprivileged || (!existsSync(oldShim) && `${oldShim}: not installed`) }

test('a shim without the service is told of, and leaves nothing', withOldShim, async () => {
  const sandbox = { sandboxId: 'two', runtime: { name: oldShim }, sandboxer }
  await assert.rejects(controller().create({ sandboxId: 'two', sandboxer, sandbox }), {
    code: 'NOT_IMPLEMENTED',
    message: /^sandbox "two": runtime "\S+runc-v2" runs no sandboxes \(its shim does not serve/,
  })
  assert.ok(!existsSync(join(daemon.state, 'sb/io.containerd.runtime.v2.task/default/two')))
  const { stdout } = await runCommand(['ps', '-eo', 'args'])
  assert.deepEqual(
    stdout.split('\n').filter(line => line.includes(`-id two -address ${daemon.address}`)),
    [],
  )
  await assert.rejects(controller().create({ sandboxId: 'two', sandboxer: '', sandbox }), {
    message: 'invalid argument: sandbox controller name can not be empty',
  })
  await assert.rejects(controller().create({ sandboxId: 'two', sandboxer: 'podsandbox', sandbox }), {
    message: 'not found: failed to get sandbox controller by podsandbox',
  })
  await assert.rejects(controller().create({ sandboxId: 'two', sandboxer }), { code: 'INVALID_ARGUMENT' })
  await assert.rejects(
    controller().create({ sandboxId: 'two', sandboxer, sandbox: { ...sandbox, runtime: { name: 'io.no.v1' } } }),
    { code: 'NOT_FOUND' },
  )
})

test('a namespace with a sandbox or a network of its own is not empty', options, async () => {
  const tenant = { namespace: 'tenant' }
  await store().create({ sandbox: { sandboxId: 's', runtime: { name: 'r' } } }, tenant)
  const made = await daemon.run('-n', 'tenant', 'networks', 'create', 'own')
  assert.equal(made.code, 0, made.stderr)
  const namespaces = createClient(NamespacesDefinition, channel)
  const message = (held: string) => `namespace "tenant" must be empty, but it still has ${held}: failed precondition`
  await assert.rejects(namespaces.delete({ name: 'tenant' }), { message: message('sandboxes, networks') })
  await store().delete({ sandboxId: 's' }, tenant)
  await assert.rejects(namespaces.delete({ name: 'tenant' }), { message: message('networks') })
  assert.equal((await daemon.run('-n', 'tenant', 'networks', 'rm', 'own')).code, 0)
  await namespaces.delete({ name: 'tenant' })
})

test('the version names the commit', options, async () => {
  const { revision } = await createClient(VersionDefinition, channel).version({})
  // Elsewhere than in a checkout there is none.
  assert.match(revision, gitRevision(import.meta.dirname) === '' ? /^$/ : /^[0-9a-f]{40}(\.m)?$/)
})

test('introspection lists them', options, async () => {
  const { plugins } = await createClient(IntrospectionDefinition, channel).plugins({})
  const names = plugins.map(({ type, id }) => `${type}.${id}`)
  for (const name of [
    'io.containerd.sandbox.store.v1.local',
    'io.containerd.sandbox.controller.v1.shim',
    'io.containerd.mount-manager.v1.bolt',
    'io.containerd.grpc.v1.sandboxes',
    'io.containerd.grpc.v1.sandbox-controllers',
    'io.containerd.grpc.v1.mounts',
  ])
    assert.ok(names.includes(name), `${name} is not among ${names}`)
})
