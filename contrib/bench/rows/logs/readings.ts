/** Few lines out of a long log. */
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Contestant, Row } from '../../row.ts'
import type { DockerSide } from '../../stage/docker-side.ts'
import { busybox } from '../../stage/images.ts'
import type { Stage } from '../../stage/stage.ts'
import { writer } from './writings.ts'

/** Lines that stand in the middle, seconds from the rest. */
const marked = 100
const pauseSeconds = 3
const name = 'long-log'

/** The logs are written when the first of the rows is played. */
export function readings(sides: readonly DockerSide[], stage: Stage, scope: AsyncDisposableStack): Row[] {
  const mebibytes = stage.small ? 64 : 1024
  const middles = new Map<DockerSide, number>()
  const filled = async (side: DockerSide) => {
    if (middles.has(side)) return
    scope.defer(() => side.command('rm', '--force', name))
    middles.set(side, await fill(side, mebibytes, join(stage.folder, `middle-${side.name}`)))
  }
  const tail = () => ['--tail', `${marked}`]
  const since = (side: DockerSide) => {
    const middle = middles.get(side) ?? 0
    return ['--since', `${middle - 1}`, '--until', `${middle + pauseSeconds - 1}`]
  }
  const row = (what: string, flags: (side: DockerSide) => string[]): Row => {
    const contestants = sides.map((side): Contestant => {
      const work = () => expectLines(side, 'logs', ...flags(side), name)
      return { name: side.name, side, prepare: () => filled(side), work }
    })
    return {
      name: `\`docker logs ${what} of ${mebibytes} MB`,
      rounds: 20,
      limitMs: 300_000,
      budget: { cpuMs: 20 },
      contestants,
    }
  }
  return [row(`--tail ${marked}\``, tail), row(`--since\`, ${marked} lines in the middle`, since)]
}

/** One half, a pause, the marked lines, a pause, the other half. Answers when the marked lines came, in seconds of the epoch. */
async function fill(side: DockerSide, mebibytes: number, folder: string): Promise<number> {
  await mkdir(folder)
  const [, , half] = writer((mebibytes / 2) * 2 ** 20)
  const pause = `sleep ${pauseSeconds}`
  // The first half ends in the middle of a line.
  const script = `${half}; echo; ${pause}; date -u +%s >/out/when; busybox seq ${marked}; ${pause}; ${half}`
  const flags = ['--name', name, '--network', 'none', '--volume', `${folder}:/out`]
  await side.command('run', '--detach', ...flags, busybox, 'sh', '-c', script)
  await side.command('wait', name)
  return Number(await readFile(join(folder, 'when'), 'utf8'))
}

/** Throws unless it prints as many lines as are marked. */
async function expectLines(side: DockerSide, ...argv: string[]): Promise<undefined> {
  const lines = (await side.ok(...argv)).split('\n').length
  if (lines !== marked) throw new Error(`docker ${argv.join(' ')}: ${lines} lines instead of ${marked}`)
  return undefined
}
