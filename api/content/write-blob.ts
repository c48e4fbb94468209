/** Blobs written to a content store by its clients. */
import { createHash } from 'node:crypto'
import { isGantryError } from '../errors/errors.ts'
import { WriteAction } from '../gen/containerd/services/content/v1/content.ts'
import { blobInfo, type HasContent } from './read-blob.ts'

export interface WrittenBlob {
  digest: string
  sizeBytes: number
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
  store: HasContent,
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  options: WriteOptions,
): Promise<WrittenBlob> {
  const { ref, lease, expected = '', totalBytes = 0 } = options
  const hash = createHash('sha256')
  let sizeBytes = 0
  async function* requests() {
    for await (const chunk of source) {
      hash.update(chunk)
      for (let at = 0; at < chunk.length; at += maxChunkBytes) {
        const data = Buffer.from(chunk.buffer, chunk.byteOffset + at, Math.min(maxChunkBytes, chunk.length - at))
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
    for await (const _ of store.content.write(requests(), { lease }));
  } catch (error) {
    if (!isGantryError(error, 'ALREADY_EXISTS')) throw error
    // Somebody stored the same bytes before; ours need the labels.
    const labels = typeof options.labels === 'function' ? options.labels() : options.labels
    const digest = expected === '' ? `sha256:${hash.digest('hex')}` : expected
    await addLabels(store, digest, labels, lease)
    return { digest, sizeBytes: Number((await blobInfo(store, digest))?.size ?? sizeBytes) }
  }
  return { digest: `sha256:${hash.digest('hex')}`, sizeBytes }
}

const maxChunkBytes = 1024 * 1024

/** Adds labels to a blob that is there; `lease`: holds it besides. */
export async function addLabels(
  { content }: HasContent,
  digest: string,
  labels: Record<string, string>,
  lease?: string,
): Promise<void> {
  const paths = Object.keys(labels).map(key => `labels.${key}`)
  if (paths.length === 0) return
  await content.update({ info: { digest, labels }, updateMask: paths }, lease === undefined ? {} : { lease })
}
