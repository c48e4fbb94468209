/** The end of a stage as an image's content: a configuration and a manifest. */
import { mediaTypes } from '#api/types/oci.ts'
import type { Core } from '../core/clients.ts'
import type { StageState } from '../solve/stage-state.ts'
import type { ImageConfig } from './image-config.ts'
import { annotated, contentLabels, type JsonDescriptor, storeJson } from './json-blob.ts'

export interface ExportOptions {
  readonly snapshotter: string
  readonly lease: string
  readonly created: Date
  /** Media types of Docker's schema 2, for clients that know no others. */
  readonly docker?: boolean
  /** Of the manifest. */
  readonly annotations?: Readonly<Record<string, string>>
}

export interface ExportedImage {
  /** Digest of the configuration. */
  readonly imageID: string
  readonly manifest: JsonDescriptor
  /** Bytes of the layers, compressed. */
  readonly sizeBytes: number
}

/** Durable when it resolves. */
export async function exportImage(core: Core, state: StageState, options: ExportOptions): Promise<ExportedImage> {
  const { lease, snapshotter, docker = false, annotations = {} } = options
  const { layers, chainID } = state.root
  const json: ImageConfig = {
    ...state.image,
    created: options.created.toISOString(),
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffID }) => diffID) },
    history: [...state.history],
  }
  const snapshot = chainID === '' ? {} : { [`containerd.io/gc.ref.snapshot.${snapshotter}`]: chainID }
  const types = docker ? dockerTypes : ociTypes
  const config = await storeJson(core, types.config, json, { lease, labels: snapshot })
  const document = {
    schemaVersion: 2,
    mediaType: types.manifest,
    config,
    layers: layers.map(({ descriptor: { mediaType, digest, size } }) => ({
      mediaType: docker ? dockerLayerType(mediaType) : mediaType,
      digest,
      size: Number(size),
    })),
    ...annotated(annotations),
  }
  const children = contentLabels(
    'l',
    layers.map(({ descriptor }) => descriptor.digest),
  )
  const labels = { 'containerd.io/gc.ref.content.config': config.digest, ...children }
  const manifest = await storeJson(core, types.manifest, document, { lease, labels })
  const sizeBytes = layers.reduce((sum, { descriptor }) => sum + Number(descriptor.size), 0)
  return { imageID: config.digest, manifest, sizeBytes }
}

const ociTypes = { manifest: mediaTypes.ociManifest, config: mediaTypes.ociConfig }
const dockerTypes = { manifest: mediaTypes.dockerManifest, config: mediaTypes.dockerConfig }

/** A layer is the same archive under either name; one compressed with zstd has no name in schema 2 but Docker's later one. */
function dockerLayerType(mediaType: string): string {
  const names: Readonly<Record<string, string>> = {
    [mediaTypes.ociLayer]: mediaTypes.dockerLayer,
    [mediaTypes.ociLayerGzip]: mediaTypes.dockerLayerGzip,
    [mediaTypes.ociLayerZstd]: mediaTypes.dockerLayerZstd,
  }
  return names[mediaType] ?? mediaType
}
