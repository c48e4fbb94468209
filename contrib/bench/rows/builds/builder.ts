/** Who builds: the same Dockerfiles and flags, each by its own unmodified command. */
import type { Side } from '../../row.ts'
import type { DockerSide } from '../../stage/docker-side.ts'
import type { PodmanSide } from '../../stage/podman-side.ts'

export interface Builder {
  readonly name: string
  readonly side: Side
  build(folder: string, ...flags: string[]): Promise<undefined>
}

/** Steps get no network: how long one takes to come up is a row of its own. */
const flags = ['build', '--network', 'none']

export function byDocker(side: DockerSide): Builder {
  const build = (folder: string, ...more: string[]) => side.command(...flags, '--tag', 'bench-built', ...more, folder)
  return { name: side.name, side, build }
}

export function byPodman(side: PodmanSide): Builder {
  const build = (folder: string, ...more: string[]) =>
    side.command(
      ...flags,
      '--layers',
      '--tag',
      'bench-built',
      '--cgroup-parent',
      side.account.containers,
      ...more,
      folder,
    )
  return { name: 'buildah', side, build }
}
