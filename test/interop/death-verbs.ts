/** What has to be true of containers when a daemon or a shim dies, for any daemon and any shim. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { eventually, type Try } from './container-verbs.ts'
import type { Ctr } from './ctr.ts'

export interface MortalWorld {
  daemon: { kill(): Promise<void>; start(): Promise<void> }
  ctr: Ctr
  image: string
  /** The daemon's volatile folder, with its bundles. */
  state: string
  /** Of `ctr run`: the runtime. */
  flags: string[]
  /** File name of the shim that the runtime is run by. */
  shim: string
}

export async function deathVerbs(verb: Try, world: MortalWorld): Promise<void> {
  const { daemon, ctr, image, state, flags, shim } = world
  const bundle = (id: string) => join(state, 'io.containerd.runtime.v2.task', ctr.namespace, id)
  const start = (id: string, ...command: string[]) => ctr.ok('run', '-d', '--null-io', ...flags, image, id, ...command)
  const pidOf = async (id: string) =>
    new RegExp(`^${id}\\s+(\\d+)\\s+RUNNING`, 'm').exec(await ctr.ok('tasks', 'ls'))?.[1]

  await verb('the daemon killed and started: adopted', async () => {
    await start('adopted', 'sleep', '1000')
    const pid = await pidOf('adopted')
    assert.ok(pid)
    await daemon.kill()
    assert.ok(existsSync(`/proc/${pid}`))
    await daemon.start()
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
    await daemon.kill()
    await eventually(async () => assert.equal(existsSync(`/proc/${pid}`), false))
    await daemon.start()
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
    await eventually(async () => {
      await ctr.ok('images', 'label', image, `seen=${Date.now()}`)
      assert.match(told, /\/images\/update/)
    })
    const status = await readFile(`/proc/${pid}/status`, 'utf8')
    const parent = Number(/^PPid:\s*(\d+)$/m.exec(status)?.[1])
    assert.match(await readFile(`/proc/${parent}/cmdline`, 'utf8'), new RegExp(shim))
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
    await daemon.kill()
    process.kill(parent, 'SIGKILL')
    await daemon.start()
    await eventually(async () => assert.equal(existsSync(`/proc/${pid}`), false))
    assert.doesNotMatch(await ctr.ok('tasks', 'ls'), /^lost\s/m)
    await ctr.ok('containers', 'rm', 'lost')
    assert.doesNotMatch(await readFile('/proc/self/mountinfo', 'utf8'), new RegExp(`${bundle('lost')}/`))
  })
}
