/** Fifty containers, ten at a time. */
import { figuresOf } from '../figures.ts'
import { inParallel } from '../parallel.ts'
import type { Contestant, Group, Row } from '../row.ts'
import type { DockerSide } from '../stage/docker-side.ts'
import { busybox } from '../stage/images.ts'

const width = 10
const limitMs = 180_000

export const many: Group = {
  id: 'many',
  title: 'Many containers at once',
  async open(stage) {
    const sides = await stage.dockers('gantry', 'dockerd')
    const count = stage.small ? 10 : 50
    const tails = new Map<string, number>()
    return [starts(sides, count, tails), tail(sides, tails), removals(sides, count)]
  },
}

/** Milliseconds of each start. */
function startAll(side: DockerSide, count: number): Promise<number[]> {
  return inParallel(count, width, async at => {
    const startMs = performance.now()
    await side.command('run', '--detach', '--name', `bench-${at}`, busybox, 'sleep', '1000000')
    return performance.now() - startMs
  })
}

function removeAll(side: DockerSide, count: number): Promise<undefined> {
  return side.command('rm', '--force', ...Array.from({ length: count }, (_, at) => `bench-${at}`))
}

function starts(sides: readonly DockerSide[], count: number, tails: Map<string, number>): Row {
  const contestants = sides.map((side): Contestant => {
    return {
      ...{ name: side.name, side },
      work: async round => {
        const { p99, median } = figuresOf(await startAll(side, count))
        tails.set(`${side.name} ${round}`, p99 / median)
        return undefined
      },
      tidy: () => removeAll(side, count),
    }
  })
  const name = `${count} x \`docker run -d\`, ${width} in parallel`
  return { name, rounds: 5, warmUps: 1, limitMs, budget: { times: 5 }, contestants }
}

/** Of the starts of the row before. */
function tail(sides: readonly DockerSide[], tails: ReadonlyMap<string, number>): Row {
  const contestants = sides.map((side): Contestant => {
    const work = async (round: number) => {
      const tail = tails.get(`${side.name} ${round}`)
      if (tail === undefined) throw new Error('the row before has no such round')
      return tail
    }
    return { name: side.name, work }
  })
  return { name: 'p99 of one of them by its p50', unit: 'x', rounds: 5, warmUps: 0, budget: { atMost: 3 }, contestants }
}

function removals(sides: readonly DockerSide[], count: number): Row {
  const contestants = sides.map((side): Contestant => {
    return { name: side.name, side, prepare: () => startAll(side, count), work: () => removeAll(side, count) }
  })
  return { name: `\`docker rm -f\` of ${count}`, rounds: 5, warmUps: 1, limitMs, budget: { times: 5 }, contestants }
}
