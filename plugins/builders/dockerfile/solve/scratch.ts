/** Containers are made from images; a stage from `scratch` has none, so it gets an empty one for as long as a step runs. */
import { exportImage } from '../image/export-image.ts'
import { emptyImageConfig } from '../image/image-config.ts'
import { nameImage } from '../image/name-image.ts'
import type { Build } from './build-request.ts'
import type { StageState } from './stage-state.ts'

/** `body` gets the name of the image to record a container with. */
export async function withScratchImage<T>(
  { core, platform, snapshotter, lease }: Build,
  state: StageState,
  body: (image: string) => Promise<T>,
): Promise<T> {
  if (state.baseImage !== '') return body(state.baseImage)
  const name = `gantry.local/build/scratch:${crypto.randomUUID()}`
  const empty = { ...state, root: { chainID: '', layers: [] }, image: emptyImageConfig(platform), history: [] }
  const { manifest } = await exportImage(core, empty, { snapshotter, lease, created: new Date() })
  await nameImage(core, [name], manifest)
  try {
    return await body(name)
  } finally {
    await core.images.delete({ name })
  }
}
