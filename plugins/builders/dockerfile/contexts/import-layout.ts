/** `oci-layout:///folder:TAG` or `@DIGEST` as an image of the core's. */
import { isAbsolute } from 'node:path'
import { writeStream } from '#api/content/write-blob.ts'
import { dataLoss, invalidArgument, notFound } from '#api/errors/errors.ts'
import { isIndexType, type OciDescriptor, parseIndex, parseManifest } from '#api/types/oci.ts'
import type { Platform } from '#api/types/platform.ts'
import type { Core } from '../core/clients.ts'
import { OciLayout } from '../core/oci-layout.ts'
import { contentLabels } from '../image/json-blob.ts'
import { nameImage } from '../image/name-image.ts'

export interface ImportOptions {
  readonly lease: string
  /** None of an index but these. */
  readonly platforms: readonly Platform[]
}

/** The name of a record, the caller's to remove. NOT_FOUND: the folder lacks it; DATA_LOSS: a blob is not what its name says. */
export async function importLayout(core: Core, address: string, options: ImportOptions): Promise<string> {
  const [, folder = '', digest, tag = 'latest'] = /^(.*?)(?:@(sha256:[0-9a-f]{64})|:([\w.-]+))?$/.exec(address) ?? []
  if (!isAbsolute(folder)) throw invalidArgument(`oci-layout://${address}: the folder must be an absolute path`)
  const layout = new OciLayout(folder)
  const found = await layout.find({ tag, digest })
  const image = isIndexType(found.mediaType) ? await chosen(layout, folder, found, options) : [found]
  const [manifest] = image
  if (manifest === undefined) throw notFound(`"${folder}" has no image for the platforms of this build`)
  for (const one of image) await importManifest(core, layout, one, options.lease)
  const target = isIndexType(found.mediaType) ? await importIndex(core, layout, found, image, options.lease) : found
  return nameImage(core, [`gantry.local/build/layout:${crypto.randomUUID()}`], target)
}

async function chosen(layout: OciLayout, folder: string, index: OciDescriptor, { platforms }: ImportOptions) {
  const { manifests } = parseIndex(folder, await layout.read(index.digest))
  return manifests.filter(({ platform }) =>
    platforms.some(({ os, architecture }) => platform?.os === os && platform.architecture === architecture),
  )
}

/** Whole, though it speaks of more than is imported: those that were chosen are what keeps living. */
async function importIndex(
  core: Core,
  layout: OciLayout,
  index: OciDescriptor,
  images: readonly OciDescriptor[],
  lease: string,
): Promise<OciDescriptor> {
  const labels = contentLabels(
    'm',
    images.map(({ digest }) => digest),
  )
  await importBlob(core, layout, index, { lease, labels })
  return index
}

async function importManifest(core: Core, layout: OciLayout, manifest: OciDescriptor, lease: string): Promise<void> {
  const { config, layers } = parseManifest(manifest.digest, await layout.read(manifest.digest))
  for (const one of [config, ...layers]) await importBlob(core, layout, one, { lease, labels: {} })
  const children = contentLabels(
    'l',
    layers.map(({ digest }) => digest),
  )
  const labels = { 'containerd.io/gc.ref.content.config': config.digest, ...children }
  await importBlob(core, layout, manifest, { lease, labels })
}

async function importBlob(
  core: Core,
  layout: OciLayout,
  { digest }: OciDescriptor,
  options: { readonly lease: string; readonly labels: Record<string, string> },
): Promise<void> {
  const ref = `build-${crypto.randomUUID()}`
  const stored = await writeStream(core, layout.stream(digest), { ...options, ref, expected: digest })
  if (stored.digest !== digest) throw dataLoss(`blob ${digest} of an OCI layout has the digest ${stored.digest}`)
}
