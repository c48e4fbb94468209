/**
 * Thousands of calls, valid and not, of every method of the socket, by several callers at once, some of which give up.
 * The daemon has to stay up, blame itself for nothing, and have everything in order afterwards.
 *
 *     GANTRY_RANDOM_SEED=7 GANTRY_RANDOM_CALLS=100000 node --test test/random/random-calls.test.ts
 */
import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { ContainersDefinition } from '#api/gen/containerd/services/containers/v1/containers.ts'
import { NamespacesDefinition } from '#api/gen/containerd/services/namespaces/v1/namespaces.ts'
import { TasksDefinition } from '#api/gen/containerd/services/tasks/v1/tasks.ts'
import { NetworksServiceDefinition } from '#api/gen/gantry/services/networks/v1/networks.ts'
import { connect, createClient } from '#api/rpc/client.ts'
import { chainIDs, parseDigest } from '#api/types/digest.ts'
import { Daemon } from '../daemon/daemon.ts'
import { runCommand } from '../daemon/run-command.ts'
import { busyboxLayer, makeImage } from '../fixtures/make-image.ts'
import { shimsBelow } from '../integration/leftovers.ts'
import { eventually } from '../interop/container-verbs.ts'
import { removeCgroup } from '../interop/ctr.ts'
import { Caller } from './caller.ts'
import { readContract } from './contract.ts'
import { Dice } from './dice.ts'
import type { Told } from './random-call.ts'
import { namespaces, type World } from './values.ts'

const seed = Number(process.env.GANTRY_RANDOM_SEED ?? 20_261_121)
const wanted = Number(process.env.GANTRY_RANDOM_CALLS ?? 10_000)
const callers = 6
const skip = process.getuid?.() !== 0 && 'needs root'
const cgroup = `random-${process.pid}`

test(`${wanted} random calls, seed ${seed}`, { skip, timeout: 600_000 }, async t => {
  t.diagnostic(`GANTRY_RANDOM_SEED=${seed}`)
  await using after = new AsyncDisposableStack()
  after.defer(() => removeCgroup(cgroup))
  const daemon = await Daemon.start()
  let isTidy = false
  // Its own disposal asks each namespace what it has, a process each time.
  after.defer(async () => {
    if (!isTidy) {
      await tidyUp(daemon).catch(error => t.diagnostic(`not everything could be removed: ${error}`))
      return daemon[Symbol.asyncDispose]()
    }
    await daemon.stop()
    await rm(daemon.folder, { recursive: true, force: true })
  })
  const world = await furnish(daemon)
  const { pid } = daemon
  const before = await residentBytes(pid)

  const started = performance.now()
  const told = await everybody(daemon, world)
  t.diagnostic(`${Math.round(performance.now() - started)} ms`)
  t.diagnostic(summary(told))
  t.diagnostic(slowest(told))

  await t.test('the daemon is the same process', async () => {
    assert.equal(daemon.pid, pid)
    assert.equal((await daemon.run('version')).code, 0, daemon.log)
  })
  await t.test('no call found a fault of the daemon’s own', () => assert.deepEqual(faults(told), []))
  await t.test('doctor: clean', async () => {
    const { code, stdout, stderr } = await daemon.run('doctor', '--deep')
    assert.equal(code, 0, stdout + stderr + daemon.log)
  })
  await t.test('its memory is bounded', async () => {
    const grown = (await residentBytes(pid)) - before
    t.diagnostic(`${Math.round(before / 2 ** 20)} MiB before, ${Math.round(grown / 2 ** 20)} MiB more after`)
    assert.ok(grown < 300 * 2 ** 20, `grew by ${grown} bytes`)
  })
  await t.test('everything can be removed, and nothing is left', async () => {
    await tidyUp(daemon)
    const withContainers = async () => (await shimsBelow(daemon.state)).filter(({ folder }) => folder !== '/')
    await eventually(async () => assert.deepEqual(await withContainers(), []))
    await eventually(async () => assert.deepEqual(await leftMounts(daemon.folder), []))
    assert.deepEqual(await readdir(join(daemon.state, 'netns')).catch(() => []), [])
    isTidy = true
  })
})

async function furnish(daemon: Daemon): Promise<World> {
  const image = makeImage({ layers: [busyboxLayer()], config: { Cmd: ['sh'], Env: ['PATH=/bin'] } })
  const name = await daemon.importBusybox()
  for (const namespace of namespaces) {
    const { code, stderr } = await daemon.run('-n', namespace, 'images', 'import', join(daemon.folder, 'busybox.tar'))
    assert.equal(code, 0, stderr)
  }
  const folder = join(daemon.folder, 'w')
  const applets = ['sh', 'sleep', 'true']
  for (const path of ['in', 'rootfs/bin', 'rootfs/proc', 'rootfs/dev', 'rootfs/in'])
    await mkdir(join(folder, path), { recursive: true })
  await runCommand(['cp', '/bin/busybox', join(folder, 'rootfs/bin/busybox')])
  for (const applet of applets) await runCommand(['ln', '-s', 'busybox', join(folder, 'rootfs/bin', applet)])
  return {
    contract: readContract(),
    folder,
    cgroup,
    images: [name],
    digests: image.blobs.map(blob => blob.digest),
    chainIDs: chainIDs(image.layers.map(layer => parseDigest(layer.diffID))),
  }
}

async function everybody(daemon: Daemon, world: World): Promise<Told[]> {
  const told: Told[] = []
  const one = async (number: number) => {
    using channel = connect(daemon.address)
    const caller = new Caller({ dice: new Dice(seed * 31 + number), world, channel, told })
    while (told.length < wanted) await caller.step()
  }
  await Promise.all(Array.from({ length: callers }, (_, number) => one(number)))
  return told
}

const atFault = new Set(['INTERNAL', 'UNKNOWN', 'DATA_LOSS', 'THROWN'])
/** In runc's words, a container that cannot be made; a layer whose bytes are no archive; stdio that is not there. */
const excused = [/OCI runtime/, /invalid archive/, /^stdio: /]

/** What a daemon says when it is at fault itself. */
function faults(told: readonly Told[]): string[] {
  const blamed = told.filter(
    ({ code, message }) => atFault.has(code) && !excused.some(pattern => pattern.test(message)),
  )
  return [...new Set(blamed.map(({ method, code, message }) => `${method}: ${code} ${message.slice(0, 200)}`))].sort()
}

function summary(told: readonly Told[]): string {
  const counts = Object.entries(Object.groupBy(told, ({ code }) => code)).map(
    ([code, list]) => [code, list?.length ?? 0] as const,
  )
  const methods = new Set(told.map(({ method }) => method)).size
  const rows = counts.sort(([, a], [, b]) => b - a).map(([code, count]) => `${count} ${code}`)
  const unavailable = Object.groupBy(
    told.filter(({ code }) => code === 'UNAVAILABLE'),
    ({ message }) => message.replace(/^\S+: /, '').slice(0, 120),
  )
  const why = Object.entries(unavailable).map(([message, list]) => `${list?.length} × ${message}`)
  return `${told.length} calls of ${methods} methods: ${rows.join(', ')}; UNAVAILABLE: ${why.slice(0, 8).join('; ')}`
}

function slowest(told: readonly Told[]): string {
  const total = (list: readonly Told[]) => list.reduce((sum, { ms }) => sum + ms, 0)
  const byMethod = Object.entries(Object.groupBy(told, ({ method }) => method))
  const rows = byMethod.map(([method, list = []]) => ({ method, ms: total(list), count: list.length }))
  const top = rows.sort((a, b) => b.ms - a.ms).slice(0, 8)
  return `most time: ${top.map(({ method, ms, count }) => `${method} ${count} calls ${Math.round(ms)} ms`).join('; ')}`
}

async function residentBytes(pid: number): Promise<number> {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024
}

const builtIn = new Set<string | undefined>(['bridge', 'host', 'none'])

/** By calls of our own: a process for each would take longer than all the calls before. */
async function tidyUp(daemon: Daemon): Promise<void> {
  using channel = connect(daemon.address)
  const spaces = createClient(NamespacesDefinition, channel)
  const containers = createClient(ContainersDefinition, channel)
  const tasks = createClient(TasksDefinition, channel)
  const networks = createClient(NetworksServiceDefinition, channel)
  for (const { name: namespace } of (await spaces.list({})).namespaces) {
    for (const { id } of (await tasks.list({}, { namespace })).tasks) {
      const containerId = id
      await tasks.resume({ containerId }, { namespace }).catch(() => {})
      await tasks.kill({ containerId, signal: 9, all: true }, { namespace }).catch(() => {})
      await eventually(async () => void (await tasks.delete({ containerId }, { namespace })))
    }
    for (const { id } of (await containers.list({}, { namespace })).containers)
      await containers.delete({ id }, { namespace })
    const made = (await networks.list({}, { namespace })).networks.filter(({ network }) => !builtIn.has(network?.name))
    for (const { network } of made) await networks.remove({ network: network?.id ?? '' }, { namespace })
    await spaces.delete({ name: namespace }).catch(() => {})
  }
}

async function leftMounts(folder: string): Promise<string[]> {
  const mounts = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n').map(line => line.split(' ')[4] ?? '')
  return mounts.filter(path => path.startsWith(`${folder}/`))
}
