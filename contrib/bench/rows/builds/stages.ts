/** Two stages that do not need each other, each of which takes a second: how long both take. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Contestant, Row } from '../../row.ts'
import { command } from '../../run-command.ts'
import type { DockerSide } from '../../stage/docker-side.ts'
import { Gantry } from '../../stage/gantry.ts'
import type { PodmanSide } from '../../stage/podman-side.ts'
import { base } from './base.ts'
import { byDocker, byPodman } from './builder.ts'

const lines = [
  `FROM ${base} AS one`,
  'RUN sleep 1; echo one > /one',
  `FROM ${base} AS other`,
  'RUN sleep 1; echo other > /other',
  `FROM ${base}`,
  'COPY --from=one /one /',
  'COPY --from=other /other /',
]

/** The docker command without BuildKit reads one list of lines, so that nobody builds stages side by side for it: ours is gctr. */
export async function sideBySide(
  dockers: readonly DockerSide[],
  podmans: readonly PodmanSide[],
  folder: string,
): Promise<Row> {
  const context = join(folder, 'stages')
  await mkdir(context, { recursive: true })
  await writeFile(join(context, 'Dockerfile'), `${lines.join('\n')}\n`)
  const contestants = [
    ...dockers.map((side): Contestant => {
      const { name } = side
      const { engine } = side
      if (engine instanceof Gantry) return { name, side, work: () => byCommand(engine, context) }
      return { name, side, work: () => byDocker(side).build(context, '--no-cache') }
    }),
    ...podmans.map(byPodman).map(({ name, side, build }) => ({
      ...{ name, side, work: () => build(context, '--no-cache', '--jobs', '2') },
    })),
  ]
  return { name: 'two stages of a second each', rounds: 3, warmUps: 1, budget: { atMost: 1700 }, contestants }
}

/** The images of the gateway are in its namespace. */
function byCommand({ daemon }: Gantry, context: string): Promise<undefined> {
  return command(daemon.gctr('--namespace', 'moby', 'build', '--network', 'none', '--no-cache', '--quiet', context))
}
