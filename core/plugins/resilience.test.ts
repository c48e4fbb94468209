/** The overlayfs process behind the supervisor, with processes dying in every role. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { processAlive, waitProcessExit } from '#api/sys/sys.ts'
import { snapshotCycle } from './testing/snapshot-cycle.ts'
import { overlayfs, overlayfsMain, supervise } from './testing/supervised.ts'

const timeout = 60_000
const skip = process.getuid?.() === 0 ? false : 'needs root: overlayfs mounts'

test('kill -9 under load: every call is answered as if nothing had happened', { skip, timeout }, async () => {
  await using s = await supervise([overlayfs], { timing: { maxFailures: 100, backOffCapMs: 100 } })
  const snapshotter = s.plugins.snapshotter('overlayfs')
  await snapshotter.cleanup()
  const running = [0, 0, 0, 0]
  let stopping = false
  const work = async (_: number, worker: number) => {
    for (let cycle = 0; !stopping; cycle++) {
      running[worker] = cycle
      await snapshotCycle(snapshotter, `ns/${worker}/${cycle}`)
    }
  }
  const workers = Promise.all(running.map(work))
  // A call survives one death, not two: so each worker gets through a cycle between kills, however slow the machine.
  const oneCycle = async () => {
    const before = [...running]
    while (!stopping && running.some((cycle, worker) => cycle <= (before[worker] ?? 0) + 1)) await sleep(1)
  }
  const killings = async () => {
    for (let kill = 0; kill < 5 && !stopping; kill++) {
      await oneCycle()
      const { pid } = s.row('overlayfs')
      process.kill(pid, 'SIGKILL')
      while (!stopping && (s.row('overlayfs').state !== 'ready' || s.row('overlayfs').pid === pid)) await sleep(5)
    }
    stopping = true
  }
  try {
    await Promise.all([killings(), workers])
  } finally {
    stopping = true
  }
  assert.equal(s.row('overlayfs').restarts, 5)
  const left = []
  for await (const info of snapshotter.list()) left.push(info.name)
  assert.deepEqual(left, [])
})

test('errors of a snapshotter keep their code and words', { skip, timeout }, async () => {
  await using s = await supervise([overlayfs])
  const snapshotter = s.plugins.snapshotter('overlayfs')
  await assert.rejects(snapshotter.stat('ns/1/nobody'), {
    code: 'NOT_FOUND',
    message: 'snapshot ns/1/nobody does not exist: not found',
  })
  await snapshotter.prepare('ns/1/a', '', { 'containerd.io/snapshot/x': 'y' })
  await assert.rejects(snapshotter.prepare('ns/1/a', '', {}), { code: 'ALREADY_EXISTS' })
  const updated = await snapshotter.update({ name: 'ns/1/a', labels: { z: '1' } }, ['labels.z'])
  assert.deepEqual(updated.labels, { 'containerd.io/snapshot/x': 'y', z: '1' })
  assert.ok((await snapshotter.usage('ns/1/a')).inodes >= 1n)
})

test('a configuration the plugin refuses is told to the caller and the table', { skip, timeout }, async () => {
  await using s = await supervise([{ ...overlayfs, config: { mount_optionz: [] } }])
  await assert.rejects(s.plugins.channelFor('snapshotter', 'overlayfs'), { code: 'UNAVAILABLE' })
  assert.ok(s.lines.some(line => /configuration: Unrecognized key: "mount_optionz"/.test(line.message)))
})

/** A gantryd reduced to its supervisor, in a process of its own: starts overlayfs, prints its pid, waits. */
async function otherGantryd(home: string): Promise<{ daemon: ChildProcess; plugin: number }> {
  const script = `
    import { overlayfs, supervise } from ${JSON.stringify(join(import.meta.dirname, 'testing/supervised.ts'))}
    const s = await supervise([overlayfs], { home: ${JSON.stringify(home)} })
    await s.plugins.snapshotter('overlayfs').prepare('ns/1/kept', '', {})
    console.log(s.row('overlayfs').pid)`
  const daemon = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = await once(createInterface({ input: daemon.stdout }), 'line')
  return { daemon, plugin: Number(line) }
}

for (const hung of [false, true])
  test(`a gantryd that was killed leaves a ${hung ? 'hung' : 'living'} plugin: the next one is not disturbed`, {
    skip,
    timeout,
  }, async () => {
    const home = await mkdtemp(join(tmpdir(), 'gantry-sup-'))
    try {
      const { daemon, plugin } = await otherGantryd(home)
      if (hung) process.kill(plugin, 'SIGSTOP')
      daemon.kill('SIGKILL')
      await once(daemon, 'exit')
      await using s = await supervise([overlayfs], { home })
      assert.equal((await s.plugins.snapshotter('overlayfs').stat('ns/1/kept')).kind, 'active')
      assert.equal(processAlive(plugin), false)
      assert.notEqual(s.row('overlayfs').pid, plugin)
    } finally {
      await rm(home, { recursive: true, force: true })
    }
  })

test('what a killed gantryd ran is ended, be it hung and never used again', { skip, timeout }, async () => {
  const home = await mkdtemp(join(tmpdir(), 'gantry-sup-'))
  try {
    const { daemon, plugin } = await otherGantryd(home)
    process.kill(plugin, 'SIGSTOP')
    daemon.kill('SIGKILL')
    await once(daemon, 'exit')
    await using s = await supervise([], { home })
    await s.plugins.sweepLeftovers()
    assert.equal(await waitProcessExit(plugin, { timeoutMs: 20_000 }), true)
  } finally {
    await rm(home, { recursive: true, force: true })
  }
})

test('a plugin ends by itself when its gantryd is killed', { skip, timeout }, async () => {
  const home = await mkdtemp(join(tmpdir(), 'gantry-sup-'))
  try {
    const { daemon, plugin } = await otherGantryd(home)
    daemon.kill('SIGKILL')
    assert.equal(await waitProcessExit(plugin, { timeoutMs: 5_000 }), true)
  } finally {
    await rm(home, { recursive: true, force: true })
  }
})

test('a snapshotter that somebody else runs', { skip, timeout }, async () => {
  const home = await mkdtemp(join(tmpdir(), 'gantry-sup-'))
  const address = join(home, 's.sock')
  const run = () =>
    spawn(
      process.execPath,
      [overlayfsMain, '--address', address, '--root', join(home, 'own'), '--log-level', 'error'],
      { stdio: 'inherit' },
    )
  let child = run()
  try {
    await using s = await supervise([{ kind: 'snapshotter', id: 'overlayfs', address }])
    const snapshotter = s.plugins.snapshotter('overlayfs')
    const prepared = async (key: string) => {
      for (let attempt = 0; ; attempt++)
        try {
          return await snapshotter.prepare(key, '', {})
        } catch (error) {
          if (attempt > 200) throw error
          await sleep(20)
        }
    }
    assert.equal((await prepared('ns/1/a')).length, 1)
    assert.deepEqual(
      [s.row('overlayfs').state, s.row('overlayfs').external, s.row('overlayfs').pid],
      ['ready', true, 0],
    )
    child.kill('SIGKILL')
    await once(child, 'exit')
    await assert.rejects(snapshotter.stat('ns/1/a'), { code: 'UNAVAILABLE', message: /snapshotter "overlayfs" at/ })
    child = run()
    await prepared('ns/2/b')
    assert.equal((await snapshotter.stat('ns/1/a')).kind, 'active')
  } finally {
    child.kill('SIGTERM')
    if (child.exitCode === null) await once(child, 'exit')
    await rm(home, { recursive: true, force: true })
  }
})
