/** A plugin dies or hangs under running containers. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Daemon } from '../daemon/daemon.ts'
import { patience } from '../daemon/patience.ts'

const timeout = 300_000 * patience
const skip = process.getuid?.() === 0 ? false : 'needs root'

/** Writes, reads back and removes for as long as there is /run-on; says so for each round, or what failed. */
const loop = `i=0; mkdir /d
while [ -e /run-on ]; do
  i=$((i+1))
  echo $i > /d/f || { echo BROKEN write; exit 1; }
  [ "$(cat /d/f)" = $i ] || { echo BROKEN read; exit 1; }
  [ -x /bin/busybox ] || { echo BROKEN lower; exit 1; }
  rm /d/f || { echo BROKEN remove; exit 1; }
  echo round $i
done
echo done`

async function gctr(daemon: Daemon, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await daemon.run(...args)
  assert.equal(code, 0, `gctr ${args.join(' ')}: ${stderr}\n${daemon.log}`)
  return stdout
}

async function snapshotter(daemon: Daemon): Promise<{ pid: number; restarts: number; state: string }> {
  const rows = JSON.parse(await gctr(daemon, '--format', 'json', 'plugins', 'ls')) as { id: string; pid: number }[]
  return rows.find(({ id }) => id === 'overlayfs') as never
}

test('killing a snapshotter gives the containers on it no I/O error', { skip, timeout }, async () => {
  await using daemon = await Daemon.start({ config: '[plugins.gateways.docker]\ndisabled = true\n' })
  const image = await daemon.importBusybox()
  await gctr(daemon, 'run', '-d', '--net', 'none', '--name', 'busy', image, 'sh', '-c', `touch /run-on; ${loop}`)
  const rounds = async () => (await gctr(daemon, 'containers', 'logs', 'busy')).match(/^round /gm)?.length ?? 0
  const further = async () => {
    const before = await rounds()
    const deadline = Date.now() + 60_000 * patience
    for (; (await rounds()) < before + 20; await sleep(50)) assert.ok(Date.now() < deadline, 'the container goes on')
  }
  await further()
  for (const signal of ['SIGKILL', 'SIGSTOP', 'SIGKILL'] as const) {
    process.kill((await snapshotter(daemon)).pid, signal)
    await further()
    if (signal === 'SIGSTOP') process.kill((await snapshotter(daemon)).pid, 'SIGCONT')
    const deadline = Date.now() + 60_000 * patience
    for (; (await snapshotter(daemon)).state !== 'ready'; await sleep(50)) assert.ok(Date.now() < deadline, daemon.log)
  }
  await gctr(daemon, 'tasks', 'exec', 'busy', 'rm', '/run-on')
  const deadline = Date.now() + 60_000 * patience
  for (; !/^done$/m.test(await gctr(daemon, 'containers', 'logs', 'busy')); await sleep(50))
    assert.ok(Date.now() < deadline, 'it ends by itself')
  assert.doesNotMatch(await gctr(daemon, 'containers', 'logs', 'busy'), /BROKEN|rror/)
  assert.equal((await snapshotter(daemon)).restarts, 2)
  await gctr(daemon, 'run', '--rm', '--net', 'none', image, 'true')
})
