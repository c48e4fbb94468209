/** The image records at the end of a transfer (containerd's `core/transfer/image`, `Store.Store`). */
import { notFound } from '#api/errors/errors.ts'
import type { OciDescriptor } from '#api/types/oci.ts'
import type { Image, Images } from '#core/images/images.ts'
import { putImage } from './context.ts'
import type { StoredImage } from './transfer.ts'

/** Writes the record, and one for each extra reference that is a whole name or ends in the digest. */
export async function storeImages(
  images: Images,
  ns: string,
  to: StoredImage,
  target: OciDescriptor,
): Promise<Image[]> {
  const named = to.name === '' ? [] : [{ name: to.name, labels: to.labels, target }]
  const extra = to.extraReferences
    .filter(({ isPrefix, addDigest }) => !isPrefix || addDigest)
    .map(({ name, addDigest }) => ({
      name: addDigest ? `${name}@${target.digest}` : name,
      labels: extraLabels(to),
      target,
    }))
  const all = [...named, ...extra]
  if (all.length === 0) throw notFound('no image name found')
  return Promise.all(all.map(image => putImage(images, ns, image)))
}

/** Further names of a named image are collected with it. */
export function extraLabels({ name, labels }: StoredImage): Record<string, string> {
  if (name === '') return { ...labels }
  const now = new Date().toISOString().replace(/\.\d+Z$/, 'Z')
  return { ...labels, 'containerd.io/gc.bref.image': name, 'containerd.io/gc.expire': now }
}
