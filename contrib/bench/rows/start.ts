/** One container, from the command to its end. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Contestant, Group, Row } from '../row.ts'
import type { DockerSide } from '../stage/docker-side.ts'
import { floor, floorRoot } from '../stage/floors.ts'
import { busybox } from '../stage/images.ts'
import type { Stage } from '../stage/stage.ts'

export const start: Group = {
  id: 'start',
  title: 'Starting a container',
  quick: true,
  async open(stage, scope) {
    const sides = await stage.dockers('gantry', 'dockerd')
    const kernel = (network: string) => bare(stage, network)
    const published = run(sides, 'bridge', 7, kernel('none'), '--publish', '18080:80')
    return [
      run(sides, 'bridge', 6, kernel('none')),
      run(sides, 'none', 5, kernel('none')),
      run(sides, 'host', 3.5, kernel('host')),
      { ...published, name: '`docker run --rm -p 18080:80 busybox true`' },
      cold(await stage.freshDockers(scope, 'gantry', 'dockerd')),
    ]
  },
}

function run(
  sides: readonly DockerSide[],
  network: string,
  times: number,
  kernel: Contestant,
  ...flags: string[]
): Row {
  const contestants = sides.map((side): Contestant => {
    const work = () => side.command('run', '--rm', '--network', network, ...flags, busybox, 'true')
    return { name: side.name, side, work }
  })
  return {
    name: `\`docker run --rm busybox true\`, ${network}`,
    bound: "the kernel's making and unmaking of namespaces and mounts; the docker command's own start",
    ...{ rounds: 30, budget: { times }, quick: true, contestants: [...contestants, kernel] },
  }
}

/** The first after the daemon came up: plugins not started, nothing compiled, no shim waiting. */
function cold(sides: readonly DockerSide[]): Row {
  const contestants = sides.map((side): Contestant => {
    const prepare = async () => {
      await side.engine.stop()
      await side.engine.start()
    }
    return { name: side.name, side, prepare, work: () => side.command('run', '--rm', busybox, 'true') }
  })
  const name = 'the first `docker run --rm busybox true` of a daemon, bridge'
  return { name, rounds: 5, warmUps: 1, contestants }
}

function bare(stage: Stage, network: string): Contestant {
  const place = (round: number) => join(stage.folder, `bare-${network}-${round}`)
  const argv = async (round: number) => [await floorRoot(stage), place(round), network]
  return floor(stage, 'run-once', argv, round => rm(place(round), { recursive: true, force: true }))
}
