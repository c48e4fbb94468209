/** From a daemon into a file, and back. */
import { rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Contestant, Row } from '../../row.ts'
import type { DockerSide } from '../../stage/docker-side.ts'
import { bigImage, ensure, forget, type ImagesContext, limitMs, pushedImage, twinImage } from './context.ts'

const defaults = { warmUps: 1, memory: true, limitMs, budget: { times: 1.5 } } as const

export function save(context: ImagesContext): Row {
  const contestants = context.dockers.map((side): Contestant => {
    const path = join(context.stage.folder, `saved-${side.name}.tar`)
    return {
      ...{ name: side.name, side, prepare: () => ensure(side, bigImage) },
      work: () => side.command('save', '--output', path, bigImage),
      tidy: () => rm(path),
    }
  })
  return { ...defaults, name: '`docker save` of it', rounds: context.rounds, contestants }
}

/** One file for all, of the first peer that can write it. */
export function load(context: ImagesContext): Row {
  const path = join(context.stage.folder, 'saved.tar')
  const contestants = context.dockers.map((side): Contestant => {
    const prepare = async () => {
      await once(path, context.dockers.at(-1) ?? side)
      await forget(side, context, pushedImage, bigImage, twinImage)
    }
    return { name: side.name, side, prepare, work: () => side.command('load', '--quiet', '--input', path) }
  })
  return { ...defaults, name: '`docker load` of it', rounds: context.rounds, contestants }
}

async function once(path: string, side: DockerSide): Promise<void> {
  if (await stat(path).catch(() => undefined)) return
  await ensure(side, bigImage)
  await side.command('save', '--output', path, bigImage)
}
