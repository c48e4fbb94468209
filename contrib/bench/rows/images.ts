/** An image of 350 MB in six layers comes from a registry on loopback, goes there, into a file and back. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { putImage } from '../../../test/registry/put-image.ts'
import { startRegistry } from '../../../test/registry/registry.ts'
import type { Group } from '../row.ts'
import { makeBigImages } from '../stage/big-image.ts'
import { ctrSides } from '../stage/containerd.ts'
import { PodmanSide } from '../stage/podman-side.ts'
import { pushRegistry, Registry } from '../stage/registry.ts'
import { load, save } from './images/archives.ts'
import type { ImagesContext } from './images/context.ts'
import { pull, pullByCtr, pullChanged } from './images/pulls.ts'
import { push } from './images/pushes.ts'

export const images: Group = {
  id: 'images',
  title: 'Images',
  quick: true,
  async open(stage, scope) {
    const big = await makeBigImages(stage.folder, stage.small ? 40 : 350)
    const storage = join(stage.folder, 'registry')
    await fill(storage, big)
    const pushed = join(stage.folder, 'pushed')
    scope.defer(() => Promise.all([storage, pushed].map(path => rm(path, { recursive: true, force: true }))).then())
    const dockers = await stage.dockers('gantry', 'dockerd')
    const ctrs = await ctrSides(stage)
    const podmans = await stage.available(['podman'] as const, () => PodmanSide.start(stage))
    for (const { host } of [...dockers, ...ctrs, ...podmans]) scope.use(await Registry.serve(storage, host))
    for (const { host } of dockers) scope.use(await Registry.serve(pushed, host, pushRegistry))
    const context: ImagesContext = { stage, big, dockers, ctrs, podmans, pushed, rounds: stage.small ? 7 : 5 }
    return [pull, pullByCtr, pullChanged, push, save, load].map(row => row(context))
  },
}

async function fill(storage: string, { image, twin }: ImagesContext['big']): Promise<void> {
  await using registry = await startRegistry({ storage })
  await putImage(registry.host, 'bench/big', '1', image)
  await putImage(registry.host, 'bench/big', '2', twin)
}
