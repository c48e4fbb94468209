/**
 * What a remote snapshotter is told with each layer, so that it may provide it without a download: the labels that
 * containerd's unpacker sends and that stargz, nydus and their like read.
 */

import type { ChainID, Digest } from '#api/types/digest.ts'
import { maxLabelBytes } from '#api/types/identifiers.ts'
import type { OciDescriptor } from '#api/types/oci.ts'

export interface LayerOrigin {
  /** Where the image was asked for: `registry/repository:tag`. */
  readonly imageRef: string
  readonly manifest: Digest
}

const prefix = 'containerd.io/snapshot/'
const label = {
  target: 'containerd.io/snapshot.ref',
  imageRef: `${prefix}cri.image-ref`,
  manifest: `${prefix}cri.manifest-digest`,
  layer: `${prefix}cri.layer-digest`,
  layers: `${prefix}cri.image-layers`,
} as const

/** `rest`: the layer to prepare and those above it. `target`: the name its snapshot is to be committed under. */
export function remoteLayerLabels(
  { imageRef, manifest }: LayerOrigin,
  target: ChainID,
  rest: readonly OciDescriptor[],
): Record<string, string> {
  const [layer] = rest
  const annotated = Object.entries(layer?.annotations ?? {}).filter(
    ([key, value]) => key.startsWith(prefix) && Buffer.byteLength(key + value) <= maxLabelBytes,
  )
  return {
    ...Object.fromEntries(annotated),
    [label.target]: target,
    [label.imageRef]: imageRef,
    [label.manifest]: manifest,
    [label.layer]: layer?.digest ?? '',
    [label.layers]: fitting(rest.map(({ digest }) => digest)),
  }
}

/** As many as a label holds; it is a hint of what will be asked for next. */
function fitting(digests: readonly string[]): string {
  let list = ''
  for (const digest of digests) {
    const longer = list === '' ? digest : `${list},${digest}`
    if (label.layers.length + longer.length > maxLabelBytes) break
    list = longer
  }
  return list
}
