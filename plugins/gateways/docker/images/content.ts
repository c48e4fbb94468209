/** Blobs in the core's content store. */
import { createHash } from 'node:crypto'
import { isGantryError, resourceExhausted } from '#api/errors/errors.ts'
import type { Info } from '#api/gen/containerd/services/content/v1/content.ts'
import { WriteAction } from '#api/gen/containerd/services/content/v1/content.ts'
import { maxManifestBytes } from '#api/types/oci.ts'
import type { Core } from '../core-client/core.ts'

/** A manifest, an index or a configuration; undefined when it is not here. RESOURCE_EXHAUSTED past 4 MiB. */
export async function readBlob({ content }: Core, digest: string): Promise<Buffer | undefined> {
  const chunks: Buffer[] = []
  let size = 0
  try {
    for await (const { data } of content.read({ digest })) {
      size += data.length
      if (size > maxManifestBytes) throw resourceExhausted(`blob ${digest} is longer than ${maxManifestBytes} bytes`)
      chunks.push(data)
    }
  } catch (error) {
    if (isGantryError(error, 'NOT_FOUND')) return undefined
    throw error
  }
  return Buffer.concat(chunks)
}

/** Undefined when it is not here. */
export async function blobInfo({ content }: Core, digest: string): Promise<Info | undefined> {
  try {
    return (await content.info({ digest })).info
  } catch (error) {
    if (isGantryError(error, 'NOT_FOUND')) return undefined
    throw error
  }
}

export interface WrittenBlob {
  digest: string
  sizeBytes: number
}

/** Stores bytes under their digest. Labels of a blob that was there already are added to. */
export async function writeBlob(
  core: Core,
  bytes: Buffer,
  options: { labels: Record<string, string>; lease: string },
): Promise<WrittenBlob> {
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
  return writeStream(core, [bytes], { ...options, ref: `docker-${digest}`, expected: digest, totalBytes: bytes.length })
}

export interface WriteOptions {
  ref: string
  lease: string
  /** Computed while writing, so asked for at the end. */
  labels: Record<string, string> | (() => Record<string, string>)
  expected?: string
  totalBytes?: number
}

/** Stores a stream under the digest it turns out to have. */
export async function writeStream(
  core: Core,
  source: AsyncIterable<Buffer> | Iterable<Buffer>,
  options: WriteOptions,
): Promise<WrittenBlob> {
  const { ref, lease, expected = '', totalBytes = 0 } = options
  const hash = createHash('sha256')
  let sizeBytes = 0
  async function* requests() {
    for await (const chunk of source) {
      hash.update(chunk)
      for (let at = 0; at < chunk.length; at += maxChunkBytes) {
        const data = chunk.subarray(at, at + maxChunkBytes)
        yield { action: WriteAction.WRITE, ref, offset: BigInt(sizeBytes), data, total: BigInt(totalBytes), expected }
        sizeBytes += data.length
      }
    }
    const labels = typeof options.labels === 'function' ? options.labels() : options.labels
    const digest = `sha256:${hash.copy().digest('hex')}`
    yield {
      action: WriteAction.COMMIT,
      ref,
      offset: BigInt(sizeBytes),
      total: BigInt(sizeBytes),
      expected: digest,
      labels,
    }
  }
  try {
    for await (const _ of core.content.write(requests(), { lease }));
  } catch (error) {
    if (!isGantryError(error, 'ALREADY_EXISTS')) throw error
    // Somebody stored the same bytes before; ours need the labels.
    const labels = typeof options.labels === 'function' ? options.labels() : options.labels
    const digest = expected === '' ? `sha256:${hash.digest('hex')}` : expected
    await addLabels(core, digest, labels)
    return { digest, sizeBytes: Number((await blobInfo(core, digest))?.size ?? sizeBytes) }
  }
  return { digest: `sha256:${hash.digest('hex')}`, sizeBytes }
}

const maxChunkBytes = 1024 * 1024

export async function addLabels({ content }: Core, digest: string, labels: Record<string, string>): Promise<void> {
  const paths = Object.keys(labels).map(key => `labels.${key}`)
  if (paths.length > 0) await content.update({ info: { digest, labels }, updateMask: paths })
}
