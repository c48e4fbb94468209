/** The image's record: what keeps it, and what people call it. */
import { isGantryError } from '#api/errors/errors.ts'
import type { Core } from '../core/clients.ts'
import type { JsonDescriptor } from './json-blob.ts'

/** The first of its names; without any, that of a record which only keeps the image, named as dockerd's containerd store does. */
export async function nameImage(core: Core, names: readonly string[], image: JsonDescriptor): Promise<string> {
  const { mediaType, digest, size } = image
  const given = names.length > 0 ? names : [`moby-dangling@${digest}`]
  const target = { mediaType, digest, size: BigInt(size), annotations: {} }
  for (const name of given) await putImage(core, { name, target, labels: {} })
  return given[0] ?? ''
}

type ImageRecord = Required<Parameters<Core['images']['create']>[0]>['image']

async function putImage(core: Core, image: ImageRecord): Promise<void> {
  try {
    await core.images.create({ image })
  } catch (error) {
    if (!isGantryError(error, 'ALREADY_EXISTS')) throw error
    await core.images.update({ image })
  }
}
