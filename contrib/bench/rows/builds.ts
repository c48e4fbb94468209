/** Images from Dockerfiles, beside dockerd's classic builder and buildah. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Group } from '../row.ts'
import { PodmanSide } from '../stage/podman-side.ts'
import { importBase } from './builds/base.ts'
import { type Builder, byDocker, byPodman } from './builds/builder.ts'
import { cached, changed, cold } from './builds/dockerfiles.ts'
import { sideBySide } from './builds/stages.ts'

export const builds: Group = {
  id: 'builds',
  title: 'Building images',
  async open(stage) {
    const dockers = await stage.dockers('gantry', 'dockerd')
    // Debian's podman 4.3 is built with buildah 1.28, and keeps layers as `buildah bud --layers` does.
    const podmans = await stage.available(['buildah'] as const, () => PodmanSide.start(stage))
    const builders: Builder[] = [...dockers.map(byDocker), ...podmans.map(byPodman)]
    const folder = join(stage.folder, 'builds')
    await mkdir(folder)
    await importBase(folder, [...dockers, ...podmans])
    const files = stage.small ? 1000 : 10_000
    return [
      await cold(builders, folder),
      await cached(builders, folder),
      await changed(builders, folder, files),
      await sideBySide(dockers, podmans, folder),
    ]
  },
}
