#!/usr/bin/env node
import { SnapshotsDefinition } from '#api/gen/containerd/services/snapshots/v1/snapshots.ts'
/**
 * What calls that do not need a plugin notice of its being hung: rounds of Mounts on vfs through a whole gantryd, in turn
 * with overlayfs well (A) and with overlayfs under SIGSTOP and callers waiting for it (B). Root.
 *
 *     node contrib/bench/hung-plugin.ts [rounds] [calls of a round]
 *
 * The A rounds are also compared with each other, odd with even: what differs there is the machine, not the plugin.
 */
import { PluginsServiceDefinition } from '#api/gen/gantry/services/plugins/v1/plugins.ts'
import { connect, createClient } from '#api/rpc/client.ts'
import { Daemon } from '../../test/daemon/daemon.ts'

const rounds = Number(process.argv[2] ?? 60)
const callsOfRound = Number(process.argv[3] ?? 500)
const waiting = 32
const warmUpRounds = 5
/** Calls at the head of every round that are not counted, A and B alike: B's waiting callers all set out at that moment. */
const settling = 25
/** The promise: so much may the p99 of calls that do not need the hung plugin differ. */
const promised = 0.05

await using daemon = await Daemon.start({ built: process.env.GANTRY_BENCH_SOURCES === undefined })
using channel = connect(daemon.address, { namespace: 'bench' })
const snapshots = createClient(SnapshotsDefinition, channel)
const labels = { 'containerd.io/gc.root': 'bench' }
for (const snapshotter of ['vfs', 'overlayfs']) await snapshots.prepare({ snapshotter, key: 'k', parent: '', labels })
const { plugins } = await createClient(PluginsServiceDefinition, channel).list({})
const overlayfs = plugins.find(({ id }) => id === 'overlayfs')?.pid ?? 0
if (overlayfs === 0) throw new Error('overlayfs does not run')

/** Milliseconds of each call. */
async function callVfs(): Promise<number[]> {
  const took: number[] = []
  for (let call = -settling; call < callsOfRound; call++) {
    const started = performance.now()
    await snapshots.mounts({ snapshotter: 'vfs', key: 'k' })
    if (call >= 0) took.push(performance.now() - started)
  }
  return took
}

async function beside(): Promise<number[]> {
  process.kill(overlayfs, 'SIGSTOP')
  const stuck = Array.from({ length: waiting }, () => snapshots.mounts({ snapshotter: 'overlayfs', key: 'k' }))
  const settled = Promise.allSettled(stuck)
  try {
    return await callVfs()
  } finally {
    process.kill(overlayfs, 'SIGCONT')
    await settled
  }
}

const samples = { odd: [] as number[], even: [] as number[], beside: [] as number[] }
for (let round = -warmUpRounds; round < rounds; round++) {
  const [well, hung] = [await callVfs(), await beside()]
  if (round < 0) continue
  samples[round % 2 === 0 ? 'even' : 'odd'].push(...well)
  samples.beside.push(...hung)
}

const at = (values: readonly number[], share: number) =>
  values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) * share)] ?? Number.NaN
const rows: [string, number[]][] = [
  ['overlayfs well (A)', [...samples.odd, ...samples.even]],
  [`overlayfs stopped, ${waiting} callers wait for it (B)`, samples.beside],
  ['A, odd rounds', samples.odd],
  ['A, even rounds', samples.even],
]
console.log(`${rounds} rounds of ${callsOfRound} calls to vfs, A and B in turn`)
console.log('\n| calls that need vfs alone, ms | p50 | p90 | p99 |\n|---|---|---|---|')
for (const [name, values] of rows)
  console.log(`| ${name} | ${[0.5, 0.9, 0.99].map(share => at(values, share).toFixed(3)).join(' | ')} |`)
const change = (a: number[], b: number[], share: number) => at(b, share) / at(a, share) - 1
const well = [...samples.odd, ...samples.even]
const percent = (value: number) => `${value >= 0 ? '+' : ''}${(100 * value).toFixed(1)}%`
const p99 = change(well, samples.beside, 0.99)
console.log(
  `\np50 ${percent(change(well, samples.beside, 0.5))}, p99 ${percent(p99)} (promised: within ${100 * promised}%)`,
)
console.log(`of the machine alone (even against odd): p99 ${percent(change(samples.odd, samples.even, 0.99))}`)
