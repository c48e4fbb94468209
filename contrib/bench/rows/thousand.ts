/** A thousand containers that run and do nothing. */
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { medianOf } from '../figures.ts'
import { inParallel } from '../parallel.ts'
import type { Contestant, Group, Row } from '../row.ts'
import { command } from '../run-command.ts'
import { DockerApi } from '../stage/docker-api.ts'
import { type DockerSide, dockerCommand } from '../stage/docker-side.ts'
import { busybox } from '../stage/images.ts'
import { settlingSeconds } from './idle.ts'
import { stillDaemon } from './still-daemon.ts'

const width = 8
/** For the peer, whose shims take a hundred times the memory of this many. */
const peerCount = 50
/** Of `docker ps` in one figure. */
const looks = 5

export const thousand: Group = {
  id: 'thousand',
  title: 'A thousand containers running',
  async open(stage, scope) {
    const sides = await stage.freshDockers(scope, 'gantry', 'dockerd')
    const [empty] = await stage.freshDockers(scope, 'gantry')
    const [ours] = sides
    if (ours === undefined || empty === undefined) return []
    const count = (side: DockerSide) => (side === ours && !stage.small ? 1000 : peerCount)
    for (const side of sides) await side.command('run', '--rm', busybox, 'true')
    if (!stage.small) await sleep(settlingSeconds * 1000)
    const before = new Map(sides.map(side => [side, daemonsMib(side)]))
    for (const side of sides) await fill(side, count(side))
    if (!stage.small) await sleep(settlingSeconds * 1000)
    return [
      shims(sides, count),
      growth(sides, before, count),
      await listing(ours, empty, count(ours), scope),
      adoption(ours, count(ours)),
    ]
  },
}

async function fill(side: DockerSide, count: number): Promise<void> {
  using api = new DockerApi(side.socket, width)
  const config = { Image: busybox, Cmd: ['sleep', '1000000'], HostConfig: { NetworkMode: 'none' } }
  await inParallel(count, width, () => api.run(config))
  await side.account.rest()
}

function shims(sides: readonly DockerSide[], count: (side: DockerSide) => number): Row {
  const contestants = sides.map((side): Contestant => {
    const work = async () => side.account.memory(side.account.pids().filter(isShim)).pssMib / count(side)
    return { name: side.name, side, work }
  })
  const name = `memory of shims, for each container (${sides.map(side => `${side.name}: ${count(side)}`).join(', ')})`
  return { name, unit: 'MiB PSS', rounds: 3, warmUps: 0, budget: { atMost: 1 }, contestants }
}

function growth(
  sides: readonly DockerSide[],
  before: ReadonlyMap<DockerSide, number>,
  count: (side: DockerSide) => number,
): Row {
  const contestants = sides.map((side): Contestant => {
    const work = async () => ((daemonsMib(side) - (before.get(side) ?? 0)) * 1024) / count(side)
    return { name: side.name, side, work }
  })
  const name = 'growth of the daemons, for each container'
  return { name, unit: 'KiB PSS', rounds: 3, warmUps: 0, budget: { atMost: 100 }, contestants }
}

/**
 * Both in turn in one figure: a busy moment lengthens both. The floor is the docker command with the same answers from
 * a daemon that has nothing to do for them.
 */
async function listing(full: DockerSide, empty: DockerSide, count: number, scope: AsyncDisposableStack): Promise<Row> {
  using api = new DockerApi(full.socket)
  const body = JSON.stringify(await api.call('GET', '/containers/json'))
  const [stillFull, stillEmpty] = [await stillDaemon(scope, body), await stillDaemon(scope, '[]')]
  const name = `\`docker ps\` with ${count} running, by one with none`
  return {
    ...{ name, unit: 'x', rounds: 5, budget: { atMost: 1.5 } },
    contestants: [
      { name: 'gantry', side: full, work: () => timesLonger(full.socket, empty.socket) },
      { name: 'floor', work: () => timesLonger(stillFull, stillEmpty) },
    ],
  }
}

async function timesLonger(full: string, empty: string): Promise<number> {
  const ratios: number[] = []
  for (let look = 0; look < looks; look++) ratios.push((await timed(full)) / (await timed(empty)))
  return medianOf(ratios)
}

async function timed(socket: string): Promise<number> {
  const startMs = performance.now()
  await command([dockerCommand, '--host', `unix://${socket}`, 'ps'])
  return performance.now() - startMs
}

function adoption(side: DockerSide, count: number): Row {
  const work = async () => {
    await side.engine.start()
    const running = (await side.ok('ps', '--quiet')).split('\n').length
    if (running !== count) throw new Error(`of ${count} containers ${running} were adopted`)
    return undefined
  }
  const contestant: Contestant = { name: 'gantry', side, prepare: () => side.engine.stop(), work }
  const name = `gantryd comes back to ${count} containers and lists them`
  return { name, rounds: 3, warmUps: 0, limitMs: 120_000, budget: { atMost: 5000 }, contestants: [contestant] }
}

function daemonsMib(side: DockerSide): number {
  return side.account.memory(side.account.pids().filter(pid => !isShim(pid))).pssMib
}

function isShim(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').startsWith('containerd-shim')
  } catch {
    return false
  }
}
