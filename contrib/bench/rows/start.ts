/** One container, from the command to its end. */
import type { Contestant, Group, Row } from '../row.ts'
import type { DockerSide } from '../stage/docker-side.ts'
import { busybox } from '../stage/images.ts'

export const start: Group = {
  id: 'start',
  title: 'Starting a container',
  async open(stage) {
    const sides = await stage.dockers('gantry', 'dockerd')
    return [
      run(sides, 'bridge', 6),
      run(sides, 'none', 5),
      run(sides, 'host', 3.5),
      { ...run(sides, 'bridge', 7, '-p', '18080:80'), name: '`docker run --rm -p 18080:80 busybox true`' },
    ]
  },
}

function run(sides: readonly DockerSide[], network: string, times: number, ...flags: string[]): Row {
  const contestant = (side: DockerSide): Contestant => ({
    name: side.name,
    side,
    work: () => side.command('run', '--rm', '--network', network, ...flags, busybox, 'true'),
  })
  return {
    name: `\`docker run --rm busybox true\`, ${network}`,
    ...{ rounds: 30, budget: { times }, quick: true, contestants: sides.map(contestant) },
  }
}
