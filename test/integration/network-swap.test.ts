/**
 * The bridge is upgraded, and back, while containers come and go on it. GANTRY_SWAPS and GANTRY_OPERATIONS set how much of
 * it (100 and 10000 are the project's promise; the default is what fits into every test run).
 */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createNetns, processAlive, processStartTime, removeNetns } from '#api/sys/sys.ts'
import { type SpecWish, spec, supervise } from '#core/plugins/testing/supervised.ts'
import { inPrivateHost } from '#sdk/network-private.ts'
import { addRequest, openNetwork } from '#sdk/network-suite.ts'
import { patience } from '../daemon/patience.ts'

const timeout = 3_600_000
const swapsWanted = Number(process.env.GANTRY_SWAPS ?? 3)
const operationsWanted = Number(process.env.GANTRY_OPERATIONS ?? 300)
const workers = 8

const main = join(import.meta.dirname, '../../plugins/networks/bridge/main.ts')
const bridge: SpecWish = { kind: 'network', id: 'bridge', argv: [process.execPath, main] }

/** The same program by two ways to start it, under two versions. */
const versions = [
  spec({ ...bridge, more: { version: '1.0.0', waitsForRoot: true } }),
  spec({
    ...bridge,
    argv: ['/bin/sh', '-c', 'exec "$@"', 'sh', process.execPath, main],
    more: { version: '2.0.0', waitsForRoot: true },
  }),
] as const

if (inPrivateHost(fileURLToPath(import.meta.url), timeout))
  test('no connect, check or disconnect fails while one bridge takes over from another', { timeout }, async t => {
    await using s = await supervise([bridge], { timing: { startMs: 20_000 * patience } })
    const folder = await mkdtemp(join(tmpdir(), 'gantry-swap-'))
    const network = s.plugins.network('bridge')
    const { id } = (await network.createNetwork({ network: openNetwork('a') })).network ?? assert.fail('no network')
    let [operations, swaps] = [0, 0]
    const done = () => swaps >= swapsWanted && operations >= operationsWanted

    /** A container that is there all the time. */
    const bystander = addRequest(id, 'bystander', join(folder, 'bystander.ns'))
    await createNetns(bystander.netnsPath)
    const { result: given } = await network.add(bystander)

    const work = async (_: unknown, worker: number) => {
      for (let cycle = 0; !done(); cycle++) {
        const request = addRequest(id, `c${worker}-${cycle}`, join(folder, `${worker}.ns`))
        await createNetns(request.netnsPath)
        const { result } = await network.add(request)
        assert.match(result?.ips[0]?.address ?? '', /^172\.|^10\.|^192\.168\./)
        await network.check(request)
        await network.del(request)
        await removeNetns(request.netnsPath)
        operations += 3
      }
    }
    /** By pid, with the start time: in a long run the kernel gives numbers again. */
    const replaced: [pid: number, startTime: bigint][] = []
    const swapping = async () => {
      for (; !done(); swaps++) {
        const { pid } = s.row('bridge')
        replaced.push([pid, processStartTime(pid)])
        await s.plugins.apply(versions[swaps % 2 === 0 ? 1 : 0])
      }
    }
    try {
      await Promise.all([swapping(), ...Array.from({ length: workers }, work)])
      await network.check(bystander)
      assert.deepEqual(
        (await network.add(bystander)).result,
        given,
        'the one that was there all the time kept its address',
      )
      await network.del(bystander)
      assert.deepEqual((await network.gc({ networkId: id, validAttachments: [] })).removed, [], 'nothing was left')
      await network.removeNetwork({ networkId: id })
    } finally {
      await removeNetns(bystander.netnsPath)
      await rm(folder, { recursive: true, force: true })
    }
    const row = s.row('bridge')
    assert.deepEqual([row.swaps, row.traffic.errors, row.restarts], [swaps, 0, 0])
    for (const [pid, startTime] of replaced) assert.equal(processAlive(pid, startTime), false)
    const { calls, errors, p50Ms, p99Ms, maxMs } = row.traffic
    t.diagnostic('swaps  operations  calls  failed  p50 ms  p99 ms  longest ms')
    t.diagnostic([swaps, operations, calls, errors, p50Ms, p99Ms, maxMs].map(n => Math.round(n * 10) / 10).join('  '))
  })
