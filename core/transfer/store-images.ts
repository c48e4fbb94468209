/** The image records at the end of a transfer (containerd's `core/transfer/image`, `Store.Store`). */
import { notFound } from '#api/errors/errors.ts'
import type { OciDescriptor } from '#api/types/oci.ts'
import type { Image, Images } from '#core/images/images.ts'
import { type ArchiveIndex, imageNameAnnotation, refNameAnnotation } from './archive-index.ts'
import { putImage } from './context.ts'
import type { ExtraReference, StoredImage } from './transfer.ts'

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

/**
 * Records for an imported archive: its index under the destination's name; its images under the names the archive
 * gives them, as far as the destination's prefixes allow. Without a name and prefixes, names are taken as they are.
 * NOT_FOUND when nothing gets a name.
 */
export async function storeImported(
  images: Images,
  ns: string,
  to: StoredImage,
  index: ArchiveIndex,
): Promise<Image[]> {
  const prefixes = to.extraReferences.filter(reference => reference.isPrefix)
  const own = to.name === '' && prefixes.length === 0 && to.extraReferences.length === 0
  const named = index.manifests.flatMap(target =>
    (own ? ownNames(target) : prefixes.flatMap(prefix => prefixedNames(target, prefix))).map(name => ({
      name,
      target,
    })),
  )
  const whole = to.extraReferences.filter(({ isPrefix }) => !isPrefix).map(({ name }) => name)
  const single = index.manifests.length === 1 ? (index.manifests[0] ?? index.root) : index.root
  const all = [
    ...(to.name === '' ? [] : [{ name: to.name, labels: to.labels, target: index.root }]),
    ...whole.map(name => ({ name, labels: extraLabels(to), target: single })),
    ...named.map(({ name, target }) => ({ name, labels: extraLabels(to), target: withoutNames(target) })),
  ]
  if (all.length === 0) throw notFound('no image of the archive has a name: give one')
  return Promise.all(all.map(image => putImage(images, ns, image)))
}

/** Only a full name is a name; a bare tag needs a prefix. */
function ownNames({ annotations }: OciDescriptor): string[] {
  const name = annotations[imageNameAnnotation] ?? annotations[refNameAnnotation] ?? ''
  return /[/:@]/.test(name) ? [name] : []
}

function prefixedNames(target: OciDescriptor, prefix: ExtraReference): string[] {
  const name = translated(target, prefix)
  const digested = `${prefix.name}@${target.digest}`
  if (name === '') return prefix.addDigest ? [digested] : []
  return prefix.addDigest && !prefix.skipNamedDigest ? [name, digested] : [name]
}

/** A bare tag gets the prefix; a full name must have it, unless it may overrule. */
function translated({ annotations }: OciDescriptor, { name: prefix, allowOverwrite }: ExtraReference): string {
  const full = annotations[imageNameAnnotation] ?? ''
  const text = full || (annotations[refNameAnnotation] ?? '')
  if (text === '' || prefix === '') return ''
  if (!/[/:@]/.test(text)) return full === '' ? `${prefix}:${text}` : ''
  return allowOverwrite || text === prefix || (/^[/:@]/.test(text.slice(prefix.length)) && text.startsWith(prefix))
    ? text
    : ''
}

/** A name belongs to the record, not to the target. */
function withoutNames(target: OciDescriptor): OciDescriptor {
  const kept = Object.entries(target.annotations).filter(
    ([key]) => key !== imageNameAnnotation && key !== refNameAnnotation,
  )
  return { ...target, annotations: Object.fromEntries(kept) }
}
