/** The last stage as an image: a configuration, a manifest, names. */

import { writeStream } from '#api/content/write-blob.ts'
import { isGantryError } from '#api/errors/errors.ts'
import { mediaTypes } from '#api/types/oci.ts'
import type { Core } from '../core/clients.ts'
import type { StageState } from '../solve/stage-state.ts'
import type { ImageConfig } from './image-config.ts'

export interface ExportOptions {
  /** Full names; none: a record that only keeps the image, named as dockerd's containerd store does. */
  readonly names: readonly string[]
  readonly snapshotter: string
  readonly lease: string
  readonly created: Date
}

export interface ExportedImage {
  readonly imageID: string
  readonly manifestDigest: string
  readonly sizeBytes: number
  /** Of its record: the first one. */
  readonly name: string
}

/** Durable when it resolves. */
export async function exportImage(core: Core, state: StageState, options: ExportOptions): Promise<ExportedImage> {
  const { lease, snapshotter } = options
  const { layers, chainID } = state.root
  const json: ImageConfig = {
    ...state.image,
    created: options.created.toISOString(),
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffID }) => diffID) },
    history: [...state.history],
  }
  const snapshot = chainID === '' ? {} : { [`containerd.io/gc.ref.snapshot.${snapshotter}`]: chainID }
  const config = await writeStream(core, [Buffer.from(JSON.stringify(json))], {
    ref: newRef(),
    lease,
    labels: snapshot,
  })
  const document = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: { mediaType: mediaTypes.ociConfig, digest: config.digest, size: config.sizeBytes },
      layers: layers.map(({ descriptor: { mediaType, digest, size } }) => ({ mediaType, digest, size: Number(size) })),
    }),
  )
  const children = layers.map(({ descriptor }, at) => [`containerd.io/gc.ref.content.l.${at}`, descriptor.digest])
  const labels = { 'containerd.io/gc.ref.content.config': config.digest, ...Object.fromEntries(children) }
  const manifest = await writeStream(core, [document], { ref: newRef(), lease, labels })
  const target = {
    ...{
      mediaType: mediaTypes.ociManifest,
      digest: manifest.digest,
      size: BigInt(manifest.sizeBytes),
      annotations: {},
    },
  }
  const names = options.names.length > 0 ? options.names : [`moby-dangling@${manifest.digest}`]
  for (const name of names) await putImage(core, { name, target, labels: {} })
  const sizeBytes = layers.reduce((sum, { descriptor }) => sum + Number(descriptor.size), 0)
  return { imageID: config.digest, manifestDigest: manifest.digest, sizeBytes, name: names[0] ?? '' }
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

const newRef = () => `build-${crypto.randomUUID()}`
