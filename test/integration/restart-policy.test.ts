/** Containers that are started again: Docker's policies for launched ones, containerd's labels for everybody's. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { IntrospectionDefinition } from '#api/gen/containerd/services/introspection/v1/introspection.ts'
import { Status } from '#api/gen/containerd/types/task/task.ts'
import { createClient } from '#api/rpc/client.ts'
import { Daemon } from '../daemon/daemon.ts'
import { patience } from '../daemon/patience.ts'
import { ContainerClient } from './container-client.ts'

let daemon: Daemon
let image: string
let client: ContainerClient

before(async () => {
  daemon = await Daemon.start({ config: '[restart]\ninterval_seconds = 1\n' })
  image = await daemon.importBusybox()
  client = new ContainerClient(daemon)
})

after(async () => {
  client.channel.close()
  await daemon?.[Symbol.asyncDispose]()
})

const alone = { networks: [{ network: 'none' }] }
const sleeping = { args: ['sleep', '1000'] }
const inspect = (id: string) => client.launcher.inspect({ id })

async function launch(id: string, policy: { name: string; maxRetries?: number }, args: string[], release = true) {
  const config = { id, image, ...alone, process: { args }, restartPolicy: policy, releaseOnExit: release }
  await client.launcher.create({ config })
  await client.tasks.create({ containerId: id })
  await client.tasks.start({ containerId: id })
}

async function until<T>(what: string, look: () => Promise<T | undefined | false>): Promise<T> {
  for (const deadline = Date.now() + 20_000 * patience; ; await sleep(25)) {
    const found = await look()
    if (found) return found
    if (Date.now() > deadline) throw new Error(`${what} did not happen; gantryd said:\n${daemon.log}`)
  }
}

const isRunning = async (id: string) => (await inspect(id)).task?.status === Status.RUNNING

test('on-failure:2 starts twice more, waiting longer each time, then leaves it', async () => {
  await launch('fails', { name: 'on-failure', maxRetries: 2 }, ['sh', '-c', 'echo again; exit 3'])
  const began = performance.now()
  const { restart, lastRun, paths } = await until('the last of the restarts', async () => {
    const seen = await inspect('fails')
    return seen.restart?.count === 2 && seen.lastRun?.exitedAt && !seen.task && seen
  })
  assert.ok(performance.now() - began > 200)
  await sleep(600)
  assert.deepEqual([restart?.count, lastRun?.exitStatus], [2, 3])
  assert.equal((await inspect('fails')).restart?.nextAt, undefined)
  assert.equal((await readFile(paths?.logFile ?? '', 'utf8')).match(/again/g)?.length, 3)
})

test('on-failure leaves a success alone; a task that nobody releases is taken away for the restart', async () => {
  await launch('succeeds', { name: 'on-failure' }, ['true'])
  await launch('stays', { name: 'always' }, ['sh', '-c', 'sleep 0.05'], false)
  await until('a restart', async () => ((await inspect('stays')).restart?.count ?? 0) >= 2)
  assert.equal((await inspect('succeeds')).restart?.count, 0)
  await client.tasks.kill({ containerId: 'stays', signal: 9 }).catch(() => {})
})

test('what is stopped by hand stays stopped, until it is started by hand', async () => {
  await launch('held', { name: 'unless-stopped' }, ['sh', '-c', 'trap "exit 0" USR1; while :; do sleep 0.05; done'])
  await sleep(200)
  await client.tasks.kill({ containerId: 'held', signal: 10 })
  await until(
    'the restart after SIGUSR1',
    async () => (await inspect('held')).restart?.count === 1 && isRunning('held'),
  )
  await client.tasks.kill({ containerId: 'held', signal: 9 })
  await until('the end', async () => (await inspect('held')).task === undefined)
  await sleep(500)
  const { restart, task } = await inspect('held')
  assert.deepEqual([restart?.count, restart?.stoppedByHand, task], [1, true, undefined])
  await client.tasks.create({ containerId: 'held' })
  await client.tasks.start({ containerId: 'held' })
  assert.deepEqual((await inspect('held')).restart, { count: 0, stoppedByHand: false, nextAt: undefined })
})

test('a stop between two runs calls the restart off', async () => {
  await launch('flaps', { name: 'always' }, ['false'])
  await until('a long wait', async () => ((await inspect('flaps')).restart?.count ?? 0) >= 3)
  await until('the wait', async () => (await inspect('flaps')).restart?.nextAt)
  await client.tasks.kill({ containerId: 'flaps', signal: 15 })
  const { restart } = await inspect('flaps')
  assert.equal(restart?.nextAt, undefined)
  await sleep(1500)
  assert.equal((await inspect('flaps')).restart?.count, restart?.count)
})

test('a daemon that starts brings back what should run, and only that', async () => {
  await launch('comes', { name: 'always' }, sleeping.args)
  await launch('waits', { name: 'unless-stopped' }, sleeping.args)
  for (const id of ['comes', 'waits']) {
    await client.tasks.kill({ containerId: id, signal: 9 })
    await until('the end', async () => (await inspect(id)).task === undefined)
  }
  await daemon.kill()
  await daemon.start()
  await until('the return', () => isRunning('comes'))
  assert.equal((await inspect('waits')).task, undefined)
})

test('a policy that is none, and one beside auto_remove, are refused', async () => {
  const base = { image, ...alone, process: sleeping }
  const refused = (config: object) => client.launcher.create({ config: { ...base, ...config } })
  await assert.rejects(refused({ restartPolicy: { name: 'often' } }), { code: 'INVALID_ARGUMENT', message: /"often"/ })
  await assert.rejects(refused({ restartPolicy: { name: 'always' }, autoRemove: true }), { code: 'INVALID_ARGUMENT' })
})

test('labels make anybody’s container run, and stop', async () => {
  const labels = { 'containerd.io/restart.status': 'running', 'containerd.io/restart.policy': 'on-failure:2' }
  const log = join(daemon.folder, 'labelled.log')
  const args = ['sh', '-c', 'echo run; exit 1']
  const config = { id: 'labelled', image, ...alone, process: { args } }
  await client.launcher.create({
    config: { ...config, labels: { ...labels, 'containerd.io/restart.loguri': `file://${log}` } },
  })
  const labelsOf = async () => (await client.records.get({ id: 'labelled' })).container?.labels ?? {}
  const stdout = `file://${log}`
  await client.tasks.create({ containerId: 'labelled', stdout, stderr: stdout })
  await client.tasks.start({ containerId: 'labelled' })
  await until('the last restart', async () => (await labelsOf())['containerd.io/restart.count'] === '2')
  await until('its end', async () => (await inspect('labelled')).task?.status === Status.STOPPED)
  await sleep(1500)
  assert.equal(await readFile(log, 'utf8'), 'run\nrun\nrun\n')
  assert.equal((await labelsOf())['containerd.io/restart.count'], '2')
})

test('a container labelled stopped is ended; introspection names the policies', async () => {
  await launch('unwanted', { name: '' }, sleeping.args, false)
  const labels = { 'containerd.io/restart.status': 'stopped' }
  const { container } = await client.records.get({ id: 'unwanted' })
  await client.records.update({ container: { ...container, labels: { ...container?.labels, ...labels } } })
  await until('the end', async () => (await inspect('unwanted')).task === undefined)
  const { plugins } = await createClient(IntrospectionDefinition, client.channel).plugins({ filters: ['id==restart'] })
  assert.deepEqual(plugins[0]?.capabilities, ['no', 'always', 'on-failure', 'unless-stopped'])
})
