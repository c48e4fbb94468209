/** Our shim under Debian's containerd 1.6.20: every verb, and that daemon's death in between. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { containerVerbs, eventually, type Try, trying } from './container-verbs.ts'
import { Ctr, debian, lacking } from './ctr.ts'
import { DebianContainerd } from './debian-containerd.ts'
import { loadImage } from './load-image.ts'
import { Scoreboard } from './scoreboard.ts'

const shim = join(import.meta.dirname, '../../build/bin/containerd-shim-gantry-v1')
const skip = lacking(debian.ctr, debian.containerd, shim)
const runtime = ['--runtime', 'io.containerd.gantry.v1']

test('Debian’s containerd runs containers by our shim', { skip }, async t => {
  using board = new Scoreboard()
  await using containerd = await DebianContainerd.start()
  await using ctr = new Ctr(containerd.address, containerd.folder)
  const image = await loadImage(ctr, containerd.folder)
  const verb = trying(t, board, 'our shim under containerd 1.6')
  await containerVerbs(verb, { ctr, image, folder: containerd.folder, flags: runtime })
  await deaths(verb, containerd, ctr, image)
})

async function deaths(verb: Try, containerd: DebianContainerd, ctr: Ctr, image: string): Promise<void> {
  const bundle = (id: string) => join(containerd.folder, 'state/io.containerd.runtime.v2.task', ctr.namespace, id)
  const start = (id: string, ...command: string[]) =>
    ctr.ok('run', '-d', '--null-io', ...runtime, image, id, ...command)
  const pidOf = async (id: string) =>
    new RegExp(`^${id}\\s+(\\d+)\\s+RUNNING`, 'm').exec(await ctr.ok('tasks', 'ls'))?.[1]

  await verb('the daemon killed and started: adopted', async () => {
    await start('adopted', 'sleep', '1000')
    const pid = await pidOf('adopted')
    assert.ok(pid)
    await containerd.kill()
    assert.ok(existsSync(`/proc/${pid}`))
    await containerd.start()
    assert.equal(await pidOf('adopted'), pid)
    const { stdout } = await ctr.outcome([
      'tasks',
      'exec',
      '--exec-id',
      'e',
      '--fifo-dir',
      ctr.fifos,
      'adopted',
      'echo',
      'on',
    ])
    assert.equal(stdout, 'on\n')
    await ctr.outcome(['tasks', 'rm', '--force', 'adopted'])
    await ctr.ok('containers', 'rm', 'adopted')
    assert.equal(existsSync(`/proc/${pid}`), false)
  })
  await verb('an exit while the daemon is down: its status is kept', async () => {
    await start('ended', 'sh', '-c', 'sleep 1; exit 9')
    const pid = await pidOf('ended')
    await containerd.kill()
    await eventually(async () => assert.equal(existsSync(`/proc/${pid}`), false))
    await containerd.start()
    assert.match(await ctr.ok('tasks', 'ls'), /^ended\s+\d+\s+STOPPED/m)
    assert.match((await ctr.outcome(['tasks', 'rm', 'ended'])).stderr, /exit code 9\b/)
    await ctr.ok('containers', 'rm', 'ended')
  })
  await verb('the shim killed: `delete` cleans up, 137 is told', async () => {
    await start('orphaned', 'sleep', '1000')
    const pid = await pidOf('orphaned')
    const events = ctr.spawn('events')
    let told = ''
    events.stdout?.on('data', (chunk: Buffer) => {
      told += chunk.toString()
    })
    await once(events, 'spawn')
    const status = await readFile(`/proc/${pid}/status`, 'utf8')
    const parent = Number(/^PPid:\s*(\d+)$/m.exec(status)?.[1])
    assert.match(await readFile(`/proc/${parent}/cmdline`, 'utf8'), /containerd-shim-gantry-v1/)
    process.kill(parent, 'SIGKILL')
    await eventually(async () => assert.equal(existsSync(bundle('orphaned')), false))
    await eventually(async () => assert.equal(existsSync(`/proc/${pid}`), false))
    await eventually(async () =>
      assert.match(told, /\/tasks\/exit .*"container_id":"orphaned".*"exit_status":137/),
    ).finally(() => events.kill('SIGKILL'))
    await ctr.ok('containers', 'rm', 'orphaned')
  })
  await verb('the shim killed while the daemon is down: cleaned up at its start', async () => {
    await start('lost', 'sleep', '1000')
    const pid = await pidOf('lost')
    const parent = Number(/^PPid:\s*(\d+)$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1])
    await containerd.kill()
    process.kill(parent, 'SIGKILL')
    await containerd.start()
    await eventually(async () => assert.equal(existsSync(`/proc/${pid}`), false))
    assert.doesNotMatch(await ctr.ok('tasks', 'ls'), /^lost\s/m)
    await ctr.ok('containers', 'rm', 'lost')
    assert.doesNotMatch(await readFile('/proc/self/mountinfo', 'utf8'), new RegExp(`${containerd.folder}/state`))
  })
}
