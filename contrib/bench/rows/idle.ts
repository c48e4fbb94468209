/** Daemons that have nothing to do. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Contestant, Group, Row } from '../row.ts'
import type { DockerSide } from '../stage/docker-side.ts'
import { busybox } from '../stage/images.ts'

/** Collectors of garbage wait until it is quiet; ours for ten seconds (api/memory/settling.ts). */
export const settlingSeconds = 15

export const idle: Group = {
  id: 'idle',
  title: 'Idle daemons',
  async open(stage, scope) {
    const sides = await stage.freshDockers(scope, 'gantry', 'dockerd')
    const before = memory(sides, 'memory of all daemons, just started')
    const seconds = stage.small ? 2 : 10
    return [before, afterOne(sides, stage.small ? 2 : settlingSeconds), processorTime(sides, seconds)]
  },
}

function memory(sides: readonly DockerSide[], name: string): Row {
  const contestants = sides.map((side): Contestant => {
    return { name: side.name, side, work: async () => side.account.memory().pssMib }
  })
  return { name, unit: 'MiB PSS', rounds: 5, warmUps: 0, budget: { atMost: 130 }, contestants }
}

/** Whatever is started on first use is there then. */
function afterOne(sides: readonly DockerSide[], seconds: number): Row {
  const row = memory(sides, `the same ${seconds} s after a container has come and gone`)
  const contestants = row.contestants.map((contestant, at): Contestant => {
    const prepare = async (round: number) => {
      if (round > 0) return
      await sides[at]?.command('run', '--rm', busybox, 'true')
      await sleep(seconds * 1000)
    }
    return { ...contestant, prepare }
  })
  return { ...row, contestants }
}

function processorTime(sides: readonly DockerSide[], seconds: number): Row {
  const contestants = sides.map((side): Contestant => {
    const work = async () => {
      const beforeMs = side.account.cpuMs()
      await sleep(seconds * 1000)
      return (side.account.cpuMs() - beforeMs) / (seconds * 10)
    }
    return { name: side.name, side, work }
  })
  const name = `processor time at rest, over ${seconds} s`
  return { name, unit: '% of a core', rounds: 3, warmUps: 0, budget: { atMost: 0.1 }, contestants }
}
