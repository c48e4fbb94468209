/** A plugin that hangs harms its own users only, and tells them so in time. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { isGantryError } from '#api/errors/errors.ts'
import { overlayfs, supervise } from './testing/supervised.ts'

const timeout = 120_000
const skip = process.getuid?.() === 0 ? false : 'needs root: overlayfs probes its mounts'
const deadlineMs = 3_000

/** Health checks do not end the hung process here: the test goes on with it. */
const timing = { checkEveryMs: 3_600_000, breakerProbeMs: 100 }
const within = (ms: number) => ({ deadlines: { query: ms, change: ms, bulk: ms } })
const more = within(deadlineMs)

function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.floor((sorted.length - 1) * share)] ?? 0
}

test('SIGSTOP: calls fail in time and say why; others do not notice; SIGCONT heals', { skip, timeout }, async t => {
  await using s = await supervise(
    [
      { ...overlayfs, more },
      { kind: 'network', id: 'other', config: { network: true } },
    ],
    { timing },
  )
  const snapshotter = s.plugins.snapshotter('overlayfs')
  const network = s.plugins.network('other')
  const other = async (): Promise<number[]> => {
    const took: number[] = []
    for (let call = 0; call < 300; call++) {
      const started = performance.now()
      await network.status({})
      took.push(performance.now() - started)
    }
    return took.sort((a, b) => a - b)
  }
  await snapshotter.prepare('ns/1/kept', '', {})
  await other()
  const before = await other()
  const { pid } = s.row('overlayfs')
  process.kill(pid, 'SIGSTOP')
  try {
    const started = performance.now()
    const failing = Promise.allSettled(
      [1, 2, 3].map(() => assert.rejects(snapshotter.prepare('ns/2/late', '', {}), isNamed(pid))),
    )
    const beside = await other()
    for (const outcome of await failing) if (outcome.status === 'rejected') throw outcome.reason
    const waitedMs = performance.now() - started
    t.diagnostic(
      `calls that do not need it, ms: p50 ${percentile(before, 0.5).toFixed(2)} before, ${percentile(beside, 0.5).toFixed(2)} beside a hung one; p99 ${percentile(before, 0.99).toFixed(2)} before, ${percentile(beside, 0.99).toFixed(2)} beside`,
    )
    t.diagnostic(`calls that need it failed after ${Math.round(waitedMs)} ms (deadline ${deadlineMs})`)

    assert.match(s.row('overlayfs').breaker, /did not answer Prepare in 3s/)
    const refused = performance.now()
    await assert.rejects(snapshotter.stat('ns/1/kept'), {
      code: 'UNAVAILABLE',
      message:
        /snapshotter "overlayfs" is not called until it answers its health check; before, it did not answer Prepare in 3s \(pid \d+, state T\)/,
    })
    assert.ok(performance.now() - refused < deadlineMs, 'refused at once')
    assert.equal(s.row('other').traffic.errors, 0)
  } finally {
    process.kill(pid, 'SIGCONT')
  }
  for (const deadline = Date.now() + 30_000; s.row('overlayfs').breaker !== ''; await sleep(20))
    assert.ok(Date.now() < deadline, 'the breaker closes')
  assert.equal((await snapshotter.stat('ns/1/kept')).kind, 'active')
  assert.equal(s.row('overlayfs').pid, pid, 'it was not ended')
})

function isNamed(pid: number) {
  return (error: unknown) =>
    isGantryError(error, 'DEADLINE_EXCEEDED') &&
    error.message.startsWith(`snapshotter "overlayfs" did not answer Prepare in 3s (pid ${pid}, state T)`)
}

test('a queue is bounded: more callers than it holds are told so', { skip, timeout }, async () => {
  const gateLimits = { maxInFlight: 2, maxQueued: 3, queueMs: 60_000 }
  await using s = await supervise([{ ...overlayfs, more: within(60_000) }], { timing, gateLimits })
  const snapshotter = s.plugins.snapshotter('overlayfs')
  await snapshotter.prepare('ns/1/kept', '', {})
  const { pid } = s.row('overlayfs')
  process.kill(pid, 'SIGSTOP')
  try {
    const calls = Array.from({ length: 6 }, () => snapshotter.stat('ns/1/kept'))
    const outcomes = Promise.allSettled(calls)
    await sleep(100)
    assert.deepEqual([s.row('overlayfs').traffic.inFlight, s.row('overlayfs').traffic.queued], [2, 3])
    await assert.rejects(calls[5] ?? assert.fail(), {
      code: 'RESOURCE_EXHAUSTED',
      message: /snapshotter "overlayfs": 3 calls wait for it already \(2 are with it\)/,
    })
    process.kill(pid, 'SIGCONT')
    const answers = (await outcomes).filter(outcome => outcome.status === 'fulfilled')
    assert.equal(answers.length, 5)
  } finally {
    process.kill(pid, 'SIGCONT')
  }
})

test('a call that waits too long for its turn gives up', { skip, timeout }, async () => {
  const gateLimits = { maxInFlight: 1, maxQueued: 3, queueMs: 200 }
  await using s = await supervise([{ ...overlayfs, more }], { timing, gateLimits })
  const snapshotter = s.plugins.snapshotter('overlayfs')
  await snapshotter.prepare('ns/1/kept', '', {})
  const { pid } = s.row('overlayfs')
  process.kill(pid, 'SIGSTOP')
  try {
    const first = assert.rejects(snapshotter.stat('ns/1/kept'), { code: 'DEADLINE_EXCEEDED' })
    await assert.rejects(snapshotter.stat('ns/1/kept'), {
      code: 'UNAVAILABLE',
      message: /snapshotter "overlayfs": the call waited 200 ms for its turn \(1 are with it\)/,
    })
    await first
  } finally {
    process.kill(pid, 'SIGCONT')
  }
})
