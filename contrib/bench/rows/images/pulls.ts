/** From a registry into a daemon, unpacked. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Contestant, Row } from '../../row.ts'
import { command } from '../../run-command.ts'
import type { PodmanSide } from '../../stage/podman-side.ts'
import { bigImage, ensure, forget, type ImagesContext, limitMs, pushedImage, twinImage } from './context.ts'

export function pull(context: ImagesContext): Row {
  const dockers = context.dockers.map((side): Contestant => {
    const prepare = () => forget(side, context, bigImage, twinImage, pushedImage)
    return { name: side.name, side, prepare, work: () => side.command('pull', '--quiet', bigImage) }
  })
  const contestants = [...dockers, ...context.podmans.map(byPodman), floor(context)]
  const budget = { times: 2, grownMib: 120 }
  const name = '`docker pull` of six layers, unpacked; `podman pull`'
  return { name, rounds: context.rounds, warmUps: 1, quick: true, memory: true, limitMs, budget, contestants }
}

function byPodman(side: PodmanSide): Contestant {
  const prepare = () => side.command('rmi', '--force', '--ignore', bigImage)
  return { name: side.name, side, prepare, work: () => side.command('pull', '--tls-verify=false', '--quiet', bigImage) }
}

/** The files alone: no network, no digest, no decompression. */
function floor({ stage, big }: ImagesContext): Contestant {
  const place = join(stage.folder, 'unpacked')
  const work = () => command(['sh', '-c', 'mkdir "$0" && for t; do tar -C "$0" -xf "$t"; done', place, ...big.tars])
  return { name: 'floor', work, tidy: () => rm(place, { recursive: true, force: true }) }
}

/** containerd's client fetches by itself; the daemon gets what it fetched, and unpacks. */
export function pullByCtr(context: ImagesContext): Row {
  const flags = ['--plain-http', '--snapshotter', 'overlayfs']
  const contestants = context.ctrs.map((side): Contestant => {
    const prepare = async () => {
      await side.command('images', 'rm', '--sync', bigImage).catch(() => {})
      await side.account.rest()
    }
    return { name: side.name, side, prepare, work: () => side.command('images', 'pull', ...flags, bigImage) }
  })
  const name = 'the same by `ctr images pull`'
  return { name, rounds: context.rounds, warmUps: 1, memory: true, limitMs, budget: { times: 2 }, contestants }
}

export function pullChanged(context: ImagesContext): Row {
  const contestants = context.dockers.map((side): Contestant => {
    const prepare = async () => {
      await side.command('rmi', '--force', twinImage).catch(() => {})
      await ensure(side, bigImage)
      await side.account.rest()
    }
    return { name: side.name, side, prepare, work: () => side.command('pull', '--quiet', twinImage) }
  })
  const name = '`docker pull` with one of the six layers changed'
  return { name, rounds: context.rounds, warmUps: 1, limitMs, budget: { times: 1.5 }, contestants }
}
