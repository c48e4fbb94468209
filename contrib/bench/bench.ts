/**
 * `npm run bench`: what one container's start costs, beside `runc run` of the same root, rounds interleaved in one run.
 * A figure is the median over the rounds; the peer's is taken in the same rounds. Nothing here passes or fails.
 *
 *   server, host|bridge   one client in this process: first request to the exit event
 *   gctr version          a command's own start and one call
 *   gctr run              the whole command, `run --rm IMAGE true`
 *   ctr run               Debian's ctr against Debian's containerd and against us (ctr-run.ts; left out without them)
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Daemon } from '../../test/daemon/daemon.ts'
import { ctrRunTable } from './ctr-run.ts'
import { formatRows, type Row } from './report.ts'
import { type Contestant, measure } from './rounds.ts'
import { command } from './run-command.ts'
import { runcBundle } from './runc-bundle.ts'
import { serverSide } from './server-side.ts'

const rounds = Number(process.env.GANTRY_BENCH_ROUNDS ?? 30)
/** Budgets: DESIGN.md's, and issue 2's factor 1.5 on the server's side of them. */
const budgets: Record<string, { ms?: number; timesRunc?: number }> = {
  'server side, host network': { ms: 1.5 * 35 },
  'server side, bridge': { ms: 1.5 * 50 },
  'gctr version': { ms: 70 },
  'gctr run --rm --net host': { timesRunc: 5 },
  'gctr run --rm (bridge)': { timesRunc: 6 },
}

const folder = await mkdtemp(join(tmpdir(), 'gantry-bench-'))
try {
  await using daemon = await Daemon.start({ built: true })
  const image = await daemon.importBusybox()
  const bundle = await runcBundle(join(folder, 'bundle'))
  const server = serverSide(daemon.address, image)
  const contestants: Record<string, Contestant> = {
    'runc run': () => command(['runc', '--root', join(folder, 'runc'), 'run', '--bundle', bundle, 'bench']),
    'server side, host network': () => server('host'),
    'server side, bridge': () => server('bridge'),
    'gctr version': () => command(daemon.gctr('version')),
    'gctr run --rm --net host': () => command(daemon.gctr('run', '--rm', '--net', 'host', image, 'true')),
    'gctr run --rm (bridge)': () => command(daemon.gctr('run', '--rm', image, 'true')),
  }
  const figures = await measure(contestants, rounds)
  const runcMs = figures['runc run']?.medianMs ?? Number.NaN
  const rows = Object.entries(figures).map(
    ([name, figure]): Row => ({ name, ...figure, timesRunc: figure.medianMs / runcMs, budget: budgets[name] }),
  )
  console.log(formatRows(rows, rounds))
  console.log(`\n${await ctrRunTable(rounds)}`)
} finally {
  await rm(folder, { recursive: true, force: true })
}
