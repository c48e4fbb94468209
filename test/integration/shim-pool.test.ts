/** Shims that wait for containers: taken, killed, and gone with the daemon however it ends. */
import assert from 'node:assert/strict'
import { readdir, readFile, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Status } from '#api/gen/containerd/types/task/task.ts'
import { Daemon } from '../daemon/daemon.ts'
import { patience } from '../daemon/patience.ts'
import { ContainerClient } from './container-client.ts'

const limitMs = 20_000 * patience

/** Pids of the shims that wait for this daemon's containers, whoever their parent is. */
async function waitingShims(daemon: Daemon): Promise<number[]> {
  const pids = (await readdir('/proc')).filter(name => /^\d+$/.test(name))
  const lines = await Promise.all(pids.map(pid => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')))
  // One that was taken is in its bundle.
  const places = await Promise.all(pids.map(pid => readlink(`/proc/${pid}/cwd`).catch(() => '')))
  const isOurs = (at: number) => /\0await\0$/.test(lines[at] ?? '') && lines[at]?.includes(daemon.address)
  return pids.filter((_, at) => isOurs(at) && places[at] === '/').map(Number)
}

async function until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  for (const deadline = Date.now() + limitMs; Date.now() < deadline; await sleep(50)) {
    const found = await look()
    if (found !== undefined) return found
  }
  return assert.fail(`not in ${limitMs} ms: ${what}`)
}

const full = (daemon: Daemon) =>
  until('two shims wait', async () => {
    const pids = await waitingShims(daemon)
    return pids.length === 2 ? pids : undefined
  })

const none = (daemon: Daemon) =>
  until('no shim waits', async () => ((await waitingShims(daemon)).length === 0 ? true : undefined))

const shimOf = async (daemon: Daemon, id: string) =>
  Number(await readFile(join(daemon.state, 'io.containerd.runtime.v2.task/default', id, 'shim.pid'), 'utf8'))

async function start(client: ContainerClient, image: string, id: string, ...args: string[]): Promise<void> {
  await client.launcher.create({ config: { image, id, networks: [{ network: 'none' }], process: { args } } })
  await client.tasks.create({ containerId: id })
  await client.tasks.start({ containerId: id })
}

test('a waiting shim becomes a container’s, and outlives the daemon that the others end with', async () => {
  await using daemon = await Daemon.start()
  const image = await daemon.importBusybox()
  {
    using client = new ContainerClient(daemon)
    assert.deepEqual(await waitingShims(daemon), [], 'an idle daemon has none')
    await start(client, image, 'first', 'true')
    const waiting = await full(daemon)
    await start(client, image, 'second', 'sleep', '1000')
    assert.ok(waiting.includes(await shimOf(daemon, 'second')))
    await full(daemon)
  }
  await daemon.kill()
  await none(daemon)
  process.kill(await shimOf(daemon, 'second'), 0)
  await daemon.start()
  using client = new ContainerClient(daemon)
  assert.equal((await client.tasks.get({ containerId: 'second' })).process?.status, Status.RUNNING)
  await start(client, image, 'third', 'sh', '-c', 'exit 7')
  assert.equal((await client.tasks.wait({ containerId: 'third' })).exitStatus, 7)
  await full(daemon)
  client.channel.close()
  await daemon.stop()
  await none(daemon)
  process.kill(await shimOf(daemon, 'second'), 0)
  await daemon.start()
})

test('waiting shims that are killed, or stopped, hold no start up', async () => {
  await using daemon = await Daemon.start()
  const image = await daemon.importBusybox()
  using client = new ContainerClient(daemon)
  await start(client, image, 'first', 'true')
  for (const pid of await full(daemon)) process.kill(pid, 'SIGKILL')
  await start(client, image, 'second', 'sh', '-c', 'exit 5')
  assert.equal((await client.tasks.wait({ containerId: 'second' })).exitStatus, 5)
  const waiting = await full(daemon)
  // Killed where nobody has noticed yet: the daemon's next step is to write to it.
  const creations = waiting.map((pid, at) => {
    process.kill(pid, 'SIGKILL')
    return start(client, image, `next-${at}`, 'sh', '-c', 'exit 6')
  })
  await Promise.all(creations)
  for (const at of waiting.keys()) assert.equal((await client.tasks.wait({ containerId: `next-${at}` })).exitStatus, 6)
  await full(daemon)
})
