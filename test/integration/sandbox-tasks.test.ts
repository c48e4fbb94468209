/** Sandboxes run by our own shim, and tasks that share one: one process serves them all, and each ends alone. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { copyFile, mkdir, readFile, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { ContainersDefinition } from '#api/gen/containerd/services/containers/v1/containers.ts'
import { ControllerDefinition, StoreDefinition } from '#api/gen/containerd/services/sandbox/v1/sandbox.ts'
import { TasksDefinition } from '#api/gen/containerd/services/tasks/v1/tasks.ts'
import { Status } from '#api/gen/containerd/types/task/task.ts'
import { type Channel, connect, createClient } from '#api/rpc/client.ts'
import { processAlive } from '#api/sys/sys.ts'
import { Daemon } from '../daemon/daemon.ts'
import { ContainerClient } from './container-client.ts'
import { requireGone } from './leftovers.ts'

const skip = process.getuid?.() !== 0 && 'needs root'
const runtime = { name: 'io.containerd.gantry.v1' }
const sandboxer = 'shim'
const typeUrl = 'types.containerd.io/opencontainers/runtime-spec/1/Spec'
let daemon: Daemon
let channel: Channel
let root: string

before(async () => {
  if (skip) return
  daemon = await Daemon.start()
  root = join(daemon.folder, 'root')
  for (const name of ['bin', 'proc', 'dev']) await mkdir(join(root, name), { recursive: true })
  await copyFile('/bin/busybox', join(root, 'bin/busybox'))
  await symlink('busybox', join(root, 'bin/sleep'))
  channel = connect(daemon.address, { namespace: 'default' })
})

after(async () => {
  channel?.close()
  await daemon?.[Symbol.asyncDispose]()
})

const store = () => createClient(StoreDefinition, channel)
const controller = () => createClient(ControllerDefinition, channel)
const tasks = () => createClient(TasksDefinition, channel)
const records = () => createClient(ContainersDefinition, channel)

/** A process that sleeps in namespaces of its own, or joins some by path. */
function spec(...namespaces: object[]): { typeUrl: string; value: Buffer } {
  const value = {
    ociVersion: '1.1.0',
    root: { path: root },
    process: { args: ['/bin/sleep', '1000'], cwd: '/', user: { uid: 0, gid: 0 }, env: ['PATH=/bin'] },
    mounts: [{ destination: '/proc', type: 'proc', source: 'proc' }],
    linux: { namespaces: [{ type: 'mount' }, { type: 'pid' }, ...namespaces] },
  }
  return { typeUrl, value: Buffer.from(JSON.stringify(value)) }
}

async function startTask(id: string, sandbox: string, ...namespaces: object[]): Promise<number> {
  await records().create({ container: { id, runtime, sandbox, spec: spec(...namespaces) } })
  const { pid } = await tasks().create({ containerId: id })
  await tasks().start({ containerId: id })
  return pid
}

async function endTask(id: string): Promise<void> {
  await tasks().kill({ containerId: id, signal: 9 })
  assert.equal((await tasks().wait({ containerId: id })).exitStatus, 137)
  await tasks().delete({ containerId: id })
  await records().delete({ id })
}

async function parentOf(pid: number): Promise<number> {
  return Number(/^PPid:\s*(\d+)$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1])
}

const statusOf = async (id: string) => (await tasks().get({ containerId: id })).process?.status

test('a sandbox of the shim alone: its tasks are the shim’s children, and end one by one', { skip }, async () => {
  await store().create({ sandbox: { sandboxId: 'pod', runtime, sandboxer } })
  await assert.rejects(startTask('early', 'pod'), { code: 'NOT_FOUND', message: /can't find shim for sandbox pod/ })
  await records().delete({ id: 'early' })
  await controller().create({ sandboxId: 'pod', sandboxer })
  const { pid: shim } = await controller().start({ sandboxId: 'pod', sandboxer })
  const status = () => controller().status({ sandboxId: 'pod', sandboxer, verbose: true })
  assert.deepEqual([(await status()).state, (await status()).pid], ['SANDBOX_READY', shim])
  assert.equal((await controller().platform({ sandboxId: 'pod', sandboxer })).platform?.os, 'linux')
  await controller().update({ sandboxId: 'pod', sandboxer })
  const [one, two] = [await startTask('one', 'pod'), await startTask('two', 'pod')]
  assert.deepEqual([await parentOf(one), await parentOf(two)], [shim, shim])
  assert.equal((await status()).info.tasks?.split(',').sort().join(), 'one,two')
  await endTask('one')
  assert.equal(await statusOf('two'), Status.RUNNING)

  channel.close()
  await daemon.kill()
  await daemon.start()
  channel = connect(daemon.address, { namespace: 'default' })
  assert.equal(await statusOf('two'), Status.RUNNING)
  await endTask('two')
  assert.equal((await status()).state, 'SANDBOX_READY')
  await startTask('three', 'pod')
  const waiting = controller().wait({ sandboxId: 'pod', sandboxer })
  await controller().stop({ sandboxId: 'pod', sandboxer, timeoutSecs: 5 })
  assert.equal((await waiting).exitStatus, 0)
  assert.equal((await tasks().wait({ containerId: 'three' })).exitStatus, 137)
  await tasks().delete({ containerId: 'three' })
  await records().delete({ id: 'three' })
  assert.equal((await status()).state, 'SANDBOX_NOTREADY')
  await controller().shutdown({ sandboxId: 'pod', sandboxer })
  await store().delete({ sandboxId: 'pod' })
  await requireGone(daemon, 'pod')
  assert.equal(processAlive(shim), false)
})

test('a sandbox with a process: others join its namespaces, and its end is told', { skip }, async () => {
  const sandbox = { sandboxId: 'held', runtime, sandboxer, spec: spec({ type: 'ipc' }, { type: 'uts' }) }
  await controller().create({ sandboxId: 'held', sandboxer, sandbox })
  await store().create({ sandbox })
  const { pid } = await controller().start({ sandboxId: 'held', sandboxer })
  const shim = await parentOf(pid)
  const inside = await startTask('inside', 'held', { type: 'ipc', path: `/proc/${pid}/ns/ipc` })
  assert.equal(await parentOf(inside), shim)
  const { metrics } = await controller().metrics({ sandboxId: 'held', sandboxer })
  assert.match(metrics?.data?.typeUrl ?? '', /cgroups\.v[12]\.Metrics$/)
  await endTask('inside')
  const waiting = controller().wait({ sandboxId: 'held', sandboxer })
  await controller().stop({ sandboxId: 'held', sandboxer, timeoutSecs: 1 })
  // The first process of a pid namespace does not heed SIGTERM.
  assert.equal((await waiting).exitStatus, 137)
  await controller().shutdown({ sandboxId: 'held', sandboxer })
  await store().delete({ sandboxId: 'held' })
  await requireGone(daemon, 'held')
  assert.equal(processAlive(shim), false)
})

test('the shim of a sandbox killed: each of its tasks is told of, and nothing is left', { skip }, async () => {
  await store().create({ sandbox: { sandboxId: 'shot', runtime, sandboxer } })
  await controller().create({ sandboxId: 'shot', sandboxer })
  const { pid: shim } = await controller().start({ sandboxId: 'shot', sandboxer })
  const pids = [await startTask('lost-one', 'shot'), await startTask('lost-two', 'shot')]
  const waits = ['lost-one', 'lost-two'].map(containerId => tasks().wait({ containerId }))
  process.kill(shim, 'SIGKILL')
  assert.deepEqual(
    (await Promise.all(waits)).map(({ exitStatus }) => exitStatus),
    [137, 137],
  )
  for (const pid of pids) assert.ok(!existsSync(`/proc/${pid}/root/bin`))
  for (const id of ['lost-one', 'lost-two']) await records().delete({ id })
  await controller().shutdown({ sandboxId: 'shot', sandboxer })
  await store().delete({ sandboxId: 'shot' })
  for (const id of ['lost-one', 'lost-two', 'shot']) await requireGone(daemon, id)
})

test('a group named by an annotation shares a shim, which ends with the last of it', { skip }, async () => {
  using client = new ContainerClient(daemon)
  const image = await daemon.importBusybox()
  const annotations = { 'io.kubernetes.cri.sandbox-id': 'group' }
  const start = (id: string) =>
    client.start({ id, image, annotations, networks: [{ network: 'none' }], process: { args: ['sleep', '1000'] } })
  const [first, second] = [await start('g1'), await start('g2')]
  const shim = await parentOf(first.pid)
  assert.equal(await parentOf(second.pid), shim)
  await client.end('g1')
  await requireGone(daemon, 'g1', path => path.includes('containerd-shim'))
  assert.equal((await client.exec('g2', ['echo', 'still'])).stdout, 'still\n')
  await client.end('g2')
  for (const id of ['g1', 'g2']) await requireGone(daemon, id)
  assert.equal(processAlive(shim), false)
})
