/** From a daemon into a registry that has nothing. */
import { rm } from 'node:fs/promises'
import type { Contestant, Row } from '../../row.ts'
import { bigImage, ensure, type ImagesContext, limitMs, pushedImage } from './context.ts'

export function push(context: ImagesContext): Row {
  const contestants = context.dockers.map((side): Contestant => {
    const prepare = async () => {
      await ensure(side, bigImage)
      await side.command('tag', bigImage, pushedImage)
      // The registry keeps nothing in memory: this is a new one.
      await rm(context.pushed, { recursive: true, force: true })
    }
    return { name: side.name, side, prepare, work: () => side.command('push', '--quiet', pushedImage) }
  })
  const name = '`docker push` of it'
  return { name, rounds: context.rounds, warmUps: 1, memory: true, limitMs, budget: { times: 1.5 }, contestants }
}
