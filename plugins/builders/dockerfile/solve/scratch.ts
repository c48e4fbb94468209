/**
 * Containers are made from images of this machine's platform; a stage that has none (from `scratch`, or for another
 * platform) gets an empty one for as long as a step runs. Its root is the step's own anyway.
 */
import { hostPlatform } from '#api/types/platform.ts'
import { isHost } from '../core/emulation.ts'
import { exportImage } from '../image/export-image.ts'
import { emptyImageConfig } from '../image/image-config.ts'
import { nameImage } from '../image/name-image.ts'
import type { Build } from './build-request.ts'
import type { StageState } from './stage-state.ts'

/** `body` gets the name of the image to record a container with. */
export async function withScratchImage<T>(
  { core, snapshotter, lease }: Build,
  state: StageState,
  body: (image: string) => Promise<T>,
): Promise<T> {
  if (state.baseImage !== '' && isHost(state.platform)) return body(state.baseImage)
  const name = `gantry.local/build/scratch:${crypto.randomUUID()}`
  const empty = { ...state, root: { chainID: '', layers: [] }, image: emptyImageConfig(hostPlatform()), history: [] }
  const { manifest } = await exportImage(core, empty, { snapshotter, lease, created: new Date() })
  await nameImage(core, [name], manifest)
  try {
    return await body(name)
  } finally {
    await core.images.delete({ name })
  }
}
