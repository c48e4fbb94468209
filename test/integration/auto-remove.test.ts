/** `run --rm`: the daemon removes the container, its snapshot and its log, whoever is watching, and whoever dies. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { processAlive } from '#api/sys/sys.ts'
import { Daemon } from '../daemon/daemon.ts'
import { ContainerClient } from './container-client.ts'
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

const ids = async () => (await daemon.run('containers', 'ls', '-q')).stdout.split('\n').filter(line => line !== '')

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    if (await holds()) return
    await sleep(50)
  }
  assert.fail('waited 10 s in vain')
}

test('a detached one goes when it ends', async () => {
  const { code, stderr } = await daemon.run('run', '-d', '--rm', '--name', 'short', image, 'sleep', '0.5')
  assert.equal(code, 0, stderr)
  assert.deepEqual(await ids(), ['short'])
  await until(async () => (await ids()).length === 0)
  await until(() => !existsSync(`${daemon.root}/containers/default/short`))
})

test('one whose client was killed goes too', async () => {
  using client = new ContainerClient(daemon)
  const { id, pid, attachment } = await client.start({
    id: 'left',
    image,
    autoRemove: true,
    process: { args: ['sleep', '0.5'] },
  })
  await attachment[Symbol.asyncDispose]()
  await until(() => !processAlive(pid))
  await until(async () => !(await ids()).includes(id))
})

test('one that ended while gantryd was dead goes at its next start', async () => {
  const client = new ContainerClient(daemon)
  const { pid } = await client.start({ id: 'meanwhile', image, autoRemove: true, process: { args: ['sleep', '0.5'] } })
  client.channel.close()
  await daemon.kill()
  await until(() => !processAlive(pid))
  await daemon.start()
  await until(async () => (await ids()).length === 0)
  await requireGone(daemon, 'meanwhile')
})

test('one that was created and never started stays, across a restart', async () => {
  using client = new ContainerClient(daemon)
  await client.launcher.create({ config: { id: 'waiting', image, autoRemove: true } })
  await daemon.stop()
  await daemon.start()
  assert.deepEqual(await ids(), ['waiting'])
  await daemon.run('containers', 'rm', 'waiting')
})

test('a client that removes at the same moment meets no error', async () => {
  const runs = Array.from({ length: 8 }, () =>
    daemon.run('run', '--rm', '--net', 'none', image, 'sh', '-c', 'echo out; exit 7'),
  )
  for (const outcome of await Promise.all(runs)) assert.deepEqual(outcome, { code: 7, stdout: 'out\n', stderr: '' })
})
