/**
 * One process takes over from another while calls run. GANTRY_SWAPS and GANTRY_OPERATIONS set how much of it (100 and
 * 10000 are the project's promise; the default is what fits into every test run).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { processAlive, processStartTime } from '#api/sys/sys.ts'
import type { PluginSpec } from './plugins.ts'
import { callsOfCycle, snapshotCycle } from './testing/snapshot-cycle.ts'
import { overlayfs, overlayfsMain, spec, supervise } from './testing/supervised.ts'

const timeout = 3_600_000
const skip = process.getuid?.() === 0 ? false : 'needs root: overlayfs probes its mounts'
const swapsWanted = Number(process.env.GANTRY_SWAPS ?? 6)
const operationsWanted = Number(process.env.GANTRY_OPERATIONS ?? 800)
const workers = 16

/** The same snapshotter by two ways to start it, under two versions: an upgrade, and back. */
const versions: readonly PluginSpec[] = [
  spec({ ...overlayfs, more: { version: '1.0.0', waitsForRoot: true } }),
  spec({
    ...overlayfs,
    argv: ['/bin/sh', '-c', 'exec "$@"', 'sh', process.execPath, overlayfsMain],
    more: { version: '2.0.0', waitsForRoot: true },
  }),
]

test('no call fails while processes take over from one another', { skip, timeout }, async t => {
  await using s = await supervise([overlayfs])
  const snapshotter = s.plugins.snapshotter('overlayfs')
  await snapshotter.cleanup()
  let operations = 0
  let swaps = 0
  const done = () => swaps >= swapsWanted && operations >= operationsWanted
  const work = async (_: unknown, worker: number) => {
    for (let cycle = 0; !done(); cycle++) {
      await snapshotCycle(snapshotter, `ns/${worker}/${cycle}`)
      operations += callsOfCycle
    }
  }
  /** By pid, with the start time: in a long run the kernel gives numbers again. */
  const replaced: [pid: number, startTime: bigint][] = []
  const swapping = async () => {
    for (; !done(); swaps++) {
      const { pid } = s.row('overlayfs')
      replaced.push([pid, processStartTime(pid)])
      const [one, two] = versions
      await s.plugins.apply((swaps % 2 === 0 ? two : one) ?? spec(overlayfs))
    }
  }
  await Promise.all([swapping(), ...Array.from({ length: workers }, work)])

  const row = s.row('overlayfs')
  assert.equal(row.swaps, swaps)
  assert.equal(row.traffic.errors, 0)
  assert.equal(row.restarts, 0, 'nobody died')
  assert.equal(replaced.length, swaps)
  for (const [pid, startTime] of replaced) assert.equal(processAlive(pid, startTime), false)
  const left = []
  for await (const info of snapshotter.list()) left.push(info.name)
  assert.deepEqual(left, [])
  const { calls, errors, p50Ms, p99Ms, maxMs } = row.traffic
  t.diagnostic('swaps  operations  calls  failed  p50 ms  p99 ms  longest ms')
  t.diagnostic([swaps, operations, calls, errors, p50Ms, p99Ms, maxMs].map(n => Math.round(n * 10) / 10).join('  '))
})

test('a version that fails its trial leaves everything as it was', { skip, timeout }, async () => {
  await using s = await supervise([overlayfs])
  const snapshotter = s.plugins.snapshotter('overlayfs')
  await snapshotter.prepare('ns/1/kept', '', {})
  const { pid } = s.row('overlayfs')
  const bad: readonly [PluginSpec, RegExp][] = [
    [spec({ ...overlayfs, argv: ['/bin/false'], more: { version: '3' } }), /3 failed its trial: .*exited with code 1/],
    [spec({ ...overlayfs, config: { nonsense: 1 }, more: { version: '4' } }), /4 failed its trial: /],
    [
      spec({ kind: 'snapshotter', id: 'overlayfs', more: { version: '5' } }),
      /5 failed its trial: unknown service containerd.services.snapshots/,
    ],
  ]
  for (const [next, message] of bad) {
    await assert.rejects(s.plugins.apply(next), { code: 'FAILED_PRECONDITION', message })
    assert.deepEqual([s.row('overlayfs').pid, s.row('overlayfs').swaps], [pid, 0])
  }
  assert.equal((await snapshotter.stat('ns/1/kept')).kind, 'active')
})

test('a version that passes its trial but not the take-over is rolled back', { skip, timeout }, async () => {
  await using s = await supervise([overlayfs])
  const snapshotter = s.plugins.snapshotter('overlayfs')
  await snapshotter.prepare('ns/1/kept', '', {})
  // Fails on every root but that of a trial.
  const script = 'case $GANTRY_PLUGIN_ROOT in *.trial) exec "$@" ;; *) echo not here >&2; exit 9 ;; esac'
  const argv = ['/bin/sh', '-c', script, 'sh', process.execPath, overlayfsMain]
  const next = spec({ ...overlayfs, argv, more: { version: '2' } })
  const calls: Promise<unknown>[] = []
  const asking = setInterval(() => calls.push(snapshotter.stat('ns/1/kept')), 5)
  try {
    await assert.rejects(s.plugins.apply(next), {
      code: 'FAILED_PRECONDITION',
      message: /2 could not take over: .*exited with code 9/,
    })
  } finally {
    clearInterval(asking)
  }
  assert.ok(calls.length > 0)
  await Promise.all(calls)
  assert.equal((await snapshotter.stat('ns/1/kept')).kind, 'active')
  assert.equal(s.row('overlayfs').swaps, 0)
})
