/** A new image of parts that are here: what `docker import` and `docker commit` end with. */

import { createHash } from 'node:crypto'
import { type WrittenBlob, writeStream } from '#api/content/write-blob.ts'
import { mediaTypes } from '#api/types/oci.ts'
import { hostPlatform, type Platform } from '#api/types/platform.ts'
import type { Core } from '../core-client/core.ts'
import type { ImageRuntimeConfig } from '../engine/images.ts'
import type { ImageHistoryEntry } from './image-json.ts'
import { danglingName } from './names.ts'
import { inOneHour, putRecord } from './records.ts'

export interface NewLayer {
  mediaType: string
  digest: string
  sizeBytes: number
  diffId: string
}

export interface NewImage {
  platform?: Platform
  config: ImageRuntimeConfig
  author: string
  comment: string
  /** Lowest first. */
  layers: readonly NewLayer[]
  history: readonly ImageHistoryEntry[]
  /** Name of the record; undefined: an image without a name. */
  name: string | undefined
}

/** The image's id. The layers' content must be held by `lease` until this answers. */
export async function storeImage(core: Core, image: NewImage, lease: string): Promise<string> {
  const { platform = hostPlatform(), layers, author, comment } = image
  const json = {
    architecture: platform.architecture,
    ...(platform.variant !== '' && { variant: platform.variant }),
    ...(author !== '' && { author }),
    ...(comment !== '' && { comment }),
    config: image.config,
    created: new Date().toISOString(),
    docker_version: '28.5.2',
    history: image.history,
    os: platform.os,
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
  }
  const config = await writeBlob(core, Buffer.from(JSON.stringify(json)), { labels: {}, lease })
  const manifest = await writeManifest(core, config, layers, lease)
  const target = {
    mediaType: mediaTypes.ociManifest,
    digest: manifest.digest,
    size: BigInt(manifest.sizeBytes),
    annotations: {},
  }
  await putRecord(core, image.name ?? danglingName(manifest.digest), target)
  return config.digest
}

async function writeManifest(
  core: Core,
  config: { digest: string; sizeBytes: number },
  layers: readonly NewLayer[],
  lease: string,
): Promise<{ digest: string; sizeBytes: number }> {
  const document = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: { mediaType: mediaTypes.ociConfig, digest: config.digest, size: config.sizeBytes },
    layers: layers.map(({ mediaType, digest, sizeBytes }) => ({ mediaType, digest, size: sizeBytes })),
  }
  const children = layers.map(({ digest }, i) => [`containerd.io/gc.ref.content.l.${i}`, digest])
  const labels = { 'containerd.io/gc.ref.content.config': config.digest, ...Object.fromEntries(children) }
  return writeBlob(core, Buffer.from(JSON.stringify(document)), { labels, lease })
}

/** Holds what is written with its id until it is disposed of, or for an hour when we die. */
export async function holdLease({ leases }: Core): Promise<AsyncDisposable & { id: string }> {
  const id = `docker-${crypto.randomUUID()}`
  await leases.create({ id, labels: { 'containerd.io/gc.expire': inOneHour() } })
  return {
    id,
    async [Symbol.asyncDispose]() {
      await leases.delete({ id }).catch(() => {})
    },
  }
}

/** Stores bytes under their digest. Labels of a blob that was there already are added to. */
async function writeBlob(
  core: Core,
  bytes: Buffer,
  options: { labels: Record<string, string>; lease: string },
): Promise<WrittenBlob> {
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
  return writeStream(core, [bytes], { ...options, ref: `docker-${digest}`, expected: digest, totalBytes: bytes.length })
}
