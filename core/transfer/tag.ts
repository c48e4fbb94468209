/** ImageStore → ImageStore. */
import type { Image } from '#core/images/images.ts'
import { ociDescriptor, type TransferParts } from './context.ts'
import { storeImages } from './store-images.ts'
import type { StoredImage, TransferContext } from './transfer.ts'

export async function tag(
  parts: TransferParts,
  from: string,
  to: StoredImage,
  context: TransferContext,
): Promise<Image[]> {
  const { target } = await parts.images.get(context.namespace, from)
  return storeImages(parts.images, context.namespace, to, ociDescriptor(target))
}
