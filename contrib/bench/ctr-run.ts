/**
 * `ctr run --rm --net-host IMAGE true`, Debian's unmodified ctr against Debian's containerd and against us: one command
 * after the other in each round (A B A B), so that a busy minute hurts both. The image is there and unpacked.
 * Printed: median, p95, the ratio (peer by ours), and the CPU time of the daemon (ours with its plugins) per run.
 * GANTRY_BENCH_ROUNDS: default 30. Nothing here passes or fails.
 */
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Daemon } from '../../test/daemon/daemon.ts'
import { Ctr, debian } from '../../test/interop/ctr.ts'
import { DebianContainerd } from '../../test/interop/debian-containerd.ts'
import { loadImage } from '../../test/interop/load-image.ts'
import { cpuMsOfTree } from './cpu-time.ts'
import { measure } from './rounds.ts'
import { command } from './run-command.ts'

/** The least that issue 8 asks for. */
const budgetRatio = 3

interface Contest {
  name: string
  ctr: Ctr
  image: string
  pid: number
}

/** Empty, with a line of why, where Debian's containerd is not installed. */
export async function ctrRunTable(rounds: number): Promise<string> {
  const missing = [debian.ctr, debian.containerd, debian.runcShim].filter(file => !existsSync(file))
  if (missing.length > 0) return `ctr run: left out, not installed: ${missing.join(', ')}`
  const folder = await mkdtemp(join(tmpdir(), 'gantry-bench-'))
  try {
    await using peer = await DebianContainerd.start()
    await using ours = await Daemon.start({ built: process.env.GANTRY_BENCH_SOURCES === undefined })
    await using peerCtr = new Ctr(peer.address, join(folder, 'peer'), `bench-${process.pid}`)
    await using ourCtr = new Ctr(ours.address, join(folder, 'ours'), `bench-${process.pid}`)
    return await contest(
      [
        { name: 'containerd', ctr: peerCtr, image: await loadImage(peerCtr, folder), pid: peer.pid },
        {
          name: 'gantryd',
          ctr: ourCtr,
          image: await loadImage(ourCtr, folder, ['--snapshotter', 'overlayfs']),
          pid: ours.pid,
        },
      ],
      rounds,
    )
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function contest(contestants: readonly Contest[], rounds: number): Promise<string> {
  let run = 0
  const once = (c: Contest) => async () =>
    command(c.ctr.argv('run', '--rm', '--net-host', '--snapshotter', 'overlayfs', c.image, `b${run++}`, 'true'))
  const version = (c: Contest) => async () => command(c.ctr.argv('version'))
  const before = contestants.map(c => cpuMsOfTree(c.pid))
  const figures = await measure(
    Object.fromEntries(
      contestants.flatMap(c => [
        [c.name, once(c)],
        [`${c.name}, ctr version`, version(c)],
      ]),
    ),
    rounds,
  )
  const peerMs = figures[contestants[0]?.name ?? '']?.medianMs ?? Number.NaN
  const lines = contestants.map((c, at) => {
    const { medianMs = Number.NaN, p95Ms = Number.NaN, minMs = Number.NaN } = figures[c.name] ?? {}
    const versionMs = figures[`${c.name}, ctr version`]?.medianMs ?? Number.NaN
    const ratio = peerMs / medianMs
    const cpuMs = (cpuMsOfTree(c.pid) - (before[at] ?? 0)) / (rounds + 3)
    const said = at === 0 ? '' : ratio < budgetRatio ? `**${ratio.toFixed(2)}**` : ratio.toFixed(2)
    return `| ${c.name} | ${[medianMs, p95Ms, minMs].map(ms => ms.toFixed(1)).join(' | ')} | ${said} | ${cpuMs.toFixed(1)} | ${versionMs.toFixed(1)} |`
  })
  return [
    `ctr run --rm --net-host IMAGE true: ${rounds} rounds, interleaved; wanted ratio ${budgetRatio}`,
    '',
    '| daemon | median ms | p95 | min | times faster | CPU ms of the daemon per run | ctr version ms |',
    '|---|---|---|---|---|---|---|',
    ...lines,
  ].join('\n')
}

if (import.meta.main) console.log(await ctrRunTable(Number(process.env.GANTRY_BENCH_ROUNDS ?? 30)))
