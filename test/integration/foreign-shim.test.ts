/** Debian's containerd-shim-runc-v2 under our core: ttrpc, task v2, and containers that other clients record. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { EventsDefinition } from '#api/gen/containerd/services/events/v1/events.ts'
import { Status } from '#api/gen/containerd/types/task/task.ts'
import { createClient } from '#api/rpc/client.ts'
import { Daemon } from '../daemon/daemon.ts'
import { ContainerClient } from './container-client.ts'
import { requireGone } from './leftovers.ts'

const shim = '/usr/bin/containerd-shim-runc-v2'
const skip = existsSync(shim) && existsSync('/usr/sbin/runc') ? false : `${shim} and runc are not installed`

test('runc’s shim runs a launched container, survives us, and is told apart when it dies', { skip }, async () => {
  await using daemon = await Daemon.start({ config: '[containers]\nruntimes = {}\n' })
  const image = await daemon.importBusybox()
  const client = new ContainerClient(daemon)
  const config = { image, runtime: 'io.containerd.runc.v2', networks: [{ network: 'none' }] }
  const out = join(daemon.folder, 'out')
  const start = async (id: string, script: string) => {
    await client.launcher.create({ config: { ...config, id, process: { args: ['sh', '-c', script] } } })
    await client.tasks.create({ containerId: id, stdout: `file://${out}`, stderr: `file://${out}` })
    await client.tasks.start({ containerId: id })
  }
  const leave = new AbortController()
  const topics: string[] = []
  const events = createClient(EventsDefinition, client.channel).subscribe(
    { filters: ['topic~="/tasks/"'] },
    { signal: leave.signal },
  )
  const listening = (async () => {
    for await (const { topic } of events) if (topics.push(topic) === 4) break
  })()
  await new Promise(resolve => setTimeout(resolve, 100))
  await start('short', 'echo from runc; exit 3')
  assert.equal((await client.tasks.wait({ containerId: 'short' })).exitStatus, 3)
  await client.remove('short')
  await listening
  leave.abort()
  assert.equal(await readFile(out, 'utf8'), 'from runc\n')
  assert.deepEqual(topics, ['/tasks/create', '/tasks/start', '/tasks/exit', '/tasks/delete'])

  await start('long', 'sleep 1000')
  client.channel.close()
  await daemon.kill()
  await daemon.start()
  using again = new ContainerClient(daemon)
  const { process: adopted } = await again.tasks.get({ containerId: 'long' })
  assert.equal(adopted?.status, Status.RUNNING)
  const bundle = join(daemon.state, 'io.containerd.runtime.v2.task/default/long')
  const socket = (await readFile(join(bundle, 'address'), 'utf8')).replace('unix://', '')
  assert.ok(existsSync(socket))
  const waiting = again.tasks.wait({ containerId: 'long' })
  const status = await readFile(`/proc/${adopted?.pid}/status`, 'utf8')
  process.kill(Number(/^PPid:\s*(\d+)$/m.exec(status)?.[1]), 'SIGKILL')
  assert.equal((await waiting).exitStatus, 137)
  await assert.rejects(again.tasks.get({ containerId: 'long' }), { code: 'NOT_FOUND' })
  await again.records.delete({ id: 'long' })
  await requireGone(daemon, 'long')
  assert.equal(existsSync(socket), false)
})
