/** Whoever dies, containers do not: gantryd by SIGTERM and SIGKILL, plugins, shims; and two gantryd side by side. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { EventsDefinition } from '#api/gen/containerd/services/events/v1/events.ts'
import { Status } from '#api/gen/containerd/types/task/task.ts'
import { PluginsServiceDefinition } from '#api/gen/gantry/services/plugins/v1/plugins.ts'
import { createClient } from '#api/rpc/client.ts'
import { processAlive } from '#api/sys/sys.ts'
import { Daemon } from '../daemon/daemon.ts'
import { runCommand } from '../daemon/run-command.ts'
import { ContainerClient, collect } from './container-client.ts'
import { requireGone } from './leftovers.ts'

let daemon: Daemon
let image: string

before(async () => {
  daemon = await Daemon.start()
  image = await daemon.importBusybox()
})

after(async () => {
  await daemon?.[Symbol.asyncDispose]()
})

const ticking = { args: ['sh', '-c', 'trap "exit 5" TERM; i=0; while :; do echo $i; i=$((i+1)); sleep 0.1; done'] }

test('SIGTERM stops the plugins, lets containers run, and a second start adopts them', async () => {
  const client = new ContainerClient(daemon)
  const { id, pid, attachment } = await client.start({ id: 'stays', image, process: ticking })
  const plugins = (await createClient(PluginsServiceDefinition, client.channel).list({})).plugins.filter(
    row => row.pid > 0,
  )
  assert.ok(plugins.length >= 2)
  client.channel.close()
  const began = performance.now()
  await daemon.stop()
  assert.ok(performance.now() - began < 10_000)
  assert.deepEqual(
    plugins.filter(row => processAlive(row.pid)),
    [],
  )
  assert.ok(!existsSync(daemon.address))
  assert.ok(processAlive(pid))

  await daemon.start()
  using again = new ContainerClient(daemon)
  assert.deepEqual(await stateOf(again, id), { status: Status.RUNNING, pid })
  await again.tasks.kill({ containerId: id, signal: 15 })
  // Attached all the time: neither output nor exit went missing.
  const { stdout, exitCode } = await collect(attachment)
  assert.equal(exitCode, 5)
  assert.deepEqual(
    numbers(stdout),
    numbers(stdout).map((_, at) => at),
  )
  assert.equal((await again.tasks.wait({ containerId: id })).exitStatus, 5)
  await again.remove(id)
})

test('SIGKILL of gantryd: containers, logs and addresses stay; what ended meanwhile is stopped with its status', async () => {
  const client = new ContainerClient(daemon)
  const stays = await client.start({ id: 'stays', image, process: ticking })
  const ends = await client.start({ id: 'ends', image, process: { args: ['sh', '-c', 'sleep 0.3; exit 9'] } })
  const address = await addressOf(client, 'stays')
  client.channel.close()
  await daemon.kill()
  await until(() => !processAlive(ends.pid))

  await daemon.start()
  using again = new ContainerClient(daemon)
  assert.deepEqual(await stateOf(again, 'stays'), { status: Status.RUNNING, pid: stays.pid })
  const { process: ended } = await again.tasks.get({ containerId: 'ends' })
  assert.deepEqual([ended?.status, ended?.exitStatus], [Status.STOPPED, 9])
  assert.equal((await again.tasks.wait({ containerId: 'ends' })).exitStatus, 9)
  await again.remove('ends')
  assert.equal(await addressOf(again, 'stays'), address)
  assert.match((await again.exec('stays', ['ip', '-4', 'addr', 'show', 'eth0'])).stdout, new RegExp(address))
  const { paths } = await again.launcher.inspect({ id: 'stays' })
  await again.tasks.kill({ containerId: 'stays', signal: 15 })
  await stays.attachment[Symbol.asyncDispose]()
  await again.tasks.wait({ containerId: 'stays' })
  const logged = (await readFile(paths?.logFile ?? '', 'utf8'))
    .trim()
    .split('\n')
    .map(line => Number(JSON.parse(line).log))
  assert.deepEqual(
    logged,
    logged.map((_, at) => at),
  )
  await again.remove('stays')
})

test('SIGKILL of gantryd in the middle of a create: the next one cleans up, and the retry works', async () => {
  const client = new ContainerClient(daemon)
  for (const delayMs of [0, 5, 15, 30, 60, 90]) {
    const id = `half-${delayMs}`
    using now = new ContainerClient(daemon)
    await now.launcher.create({ config: { id, image, process: ticking } })
    const creating = now.tasks.create({ containerId: id }).then(
      () => 'made',
      () => 'cut',
    )
    await new Promise(resolve => setTimeout(resolve, delayMs))
    await daemon.kill()
    await creating
    await daemon.start()
    using again = new ContainerClient(daemon)
    const made = await again.tasks.get({ containerId: id }).then(
      () => true,
      () => false,
    )
    if (!made) await again.tasks.create({ containerId: id })
    await again.tasks.start({ containerId: id })
    await again.end(id)
    await requireGone(daemon, id)
  }
  client.channel.close()
})

test('SIGKILL of a shim: its container is killed and removed, exit and delete are told, waiters get 137', async () => {
  using client = new ContainerClient(daemon)
  const { id, pid } = await client.start({ id: 'orphan', image, process: { args: ['sleep', '1000'] } })
  const leave = new AbortController()
  const events = createClient(EventsDefinition, client.channel).subscribe(
    { filters: ['topic~="/tasks/"'] },
    { signal: leave.signal },
  )
  const topics: string[] = []
  const listening = (async () => {
    for await (const { topic } of events) if (topics.push(topic) === 2) break
  })()
  await new Promise(resolve => setTimeout(resolve, 100))
  const waiting = client.tasks.wait({ containerId: id })
  process.kill(await parentOf(pid), 'SIGKILL')
  assert.equal((await waiting).exitStatus, 137)
  await listening
  leave.abort()
  assert.deepEqual(topics, ['/tasks/exit', '/tasks/delete'])
  assert.ok(!processAlive(pid))
  await assert.rejects(client.tasks.get({ containerId: id }), { code: 'NOT_FOUND' })
  await requireGone(daemon, id, path => path.startsWith('lib/containers/'))

  // The record is there still, and can be started anew.
  await client.tasks.create({ containerId: id })
  await client.tasks.start({ containerId: id })
  await client.end(id)
  await requireGone(daemon, id)
})

test('a shim that died while gantryd was down is taken away at the next start', async () => {
  const client = new ContainerClient(daemon)
  const { id, pid } = await client.start({ id: 'gone', image, process: { args: ['sleep', '1000'] } })
  client.channel.close()
  await daemon.kill()
  process.kill(await parentOf(pid), 'SIGKILL')
  await daemon.start()
  using again = new ContainerClient(daemon)
  await assert.rejects(again.tasks.get({ containerId: id }), { code: 'NOT_FOUND' })
  assert.ok(!processAlive(pid))
  await again.records.delete({ id })
  await requireGone(daemon, id)
})

test('SIGKILL of every plugin: running containers do not notice, and the next one starts', async () => {
  using client = new ContainerClient(daemon)
  const { id, pid } = await client.start({ id: 'kept', image, process: { args: ['sleep', '1000'] } })
  const address = await addressOf(client, id)
  const { plugins } = await createClient(PluginsServiceDefinition, client.channel).list({})
  for (const plugin of plugins.filter(row => row.pid > 0)) process.kill(plugin.pid, 'SIGKILL')
  const output = await client.run({ image, process: { args: ['sh', '-c', 'ip -4 addr show eth0'] } })
  assert.equal(output.exitCode, 0)
  assert.doesNotMatch(output.stdout, new RegExp(`${address}/`))
  assert.ok(processAlive(pid))
  await client.end(id)
})

test('two gantryd side by side do not meet; a second one on the same folders is refused', async () => {
  await using other = await Daemon.start()
  const otherImage = await other.importBusybox()
  using one = new ContainerClient(daemon)
  using two = new ContainerClient(other)
  const config = { id: 'twin', process: { args: ['sleep', '1000'] } }
  await Promise.all([one.start({ ...config, image }), two.start({ ...config, image: otherImage })])
  const [a, b] = [await addressOf(one, 'twin'), await addressOf(two, 'twin')]
  assert.notEqual(a.split('.').slice(0, 3).join('.'), b.split('.').slice(0, 3).join('.'))
  await two.end('twin')
  assert.equal((await stateOf(one, 'twin')).status, Status.RUNNING)
  await one.end('twin')

  const main = join(import.meta.dirname, '../../cmd/gantryd/main.ts')
  const flags = ['--root', daemon.root, '--state', other.state]
  const { code, stderr } = await runCommand([process.execPath, main, ...flags])
  assert.equal(code, 1)
  assert.match(stderr, new RegExp(`another gantryd works in ${daemon.root}`))
})

test('a bad configuration stops the start with file, line, key and choice', async () => {
  const path = join(daemon.folder, 'bad.toml')
  await writeFile(path, '[containers]\ncgroup_driver = "none"\n')
  const main = join(import.meta.dirname, '../../cmd/gantryd/main.ts')
  const { code, stderr } = await runCommand([process.execPath, main, '--config', path])
  assert.equal(code, 1)
  assert.equal(stderr, `gantryd: ${path}:2:1: containers.cgroup_driver: must be one of "cgroupfs", "systemd"\n`)
})

async function stateOf(client: ContainerClient, containerId: string) {
  const { process } = await client.tasks.get({ containerId })
  return { status: process?.status, pid: process?.pid }
}

async function addressOf(client: ContainerClient, id: string): Promise<string> {
  const { attachments } = await client.launcher.inspect({ id })
  return attachments[0]?.result?.ips[0]?.address.split('/')[0] ?? ''
}

function numbers(text: string): number[] {
  return text.trim().split('\n').map(Number)
}

async function parentOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/^PPid:\s*(\d+)$/m.exec(status)?.[1])
}

async function until(holds: () => boolean | Promise<boolean>, timeoutMs = 10_000): Promise<void> {
  for (const deadline = Date.now() + timeoutMs; !(await holds()); ) {
    if (Date.now() > deadline) throw new Error('it did not come true in time')
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}
