/** Blobs in the core's content store. */
import { createHash } from 'node:crypto'
import { isGantryError, resourceExhausted } from '#api/errors/errors.ts'
import { WriteAction } from '#api/gen/containerd/services/content/v1/content.ts'
import { maxManifestBytes } from '#api/types/oci.ts'
import type { Core } from './clients.ts'

const chunkBytes = 1024 * 1024

export interface WrittenBlob {
  readonly digest: string
  readonly sizeBytes: number
}

/** A manifest or a configuration. RESOURCE_EXHAUSTED past 4 MiB. */
export async function readBlob({ content }: Core, digest: string): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const { data } of content.read({ digest })) {
    size += data.length
    if (size > maxManifestBytes) throw resourceExhausted(`blob ${digest} is longer than ${maxManifestBytes} bytes`)
    chunks.push(data)
  }
  return Buffer.concat(chunks)
}

/** Stores a stream under the digest it turns out to have. `labels` are asked for when all was read. */
export async function writeBlob(
  core: Core,
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  { lease, labels }: { lease: string; labels: () => Record<string, string> },
): Promise<WrittenBlob> {
  const ref = `build-${crypto.randomUUID()}`
  const hash = createHash('sha256')
  let sizeBytes = 0
  async function* requests() {
    for await (const chunk of source) {
      hash.update(chunk)
      for (let at = 0; at < chunk.length; at += chunkBytes) {
        const data = Buffer.from(chunk.subarray(at, at + chunkBytes))
        yield { action: WriteAction.WRITE, ref, offset: BigInt(sizeBytes), data }
        sizeBytes += data.length
      }
    }
    const expected = `sha256:${hash.copy().digest('hex')}`
    const size = BigInt(sizeBytes)
    yield { action: WriteAction.COMMIT, ref, offset: size, total: size, expected, labels: labels() }
  }
  try {
    for await (const _ of core.content.write(requests(), { lease }));
  } catch (error) {
    if (!isGantryError(error, 'ALREADY_EXISTS')) throw error
    await label(core, `sha256:${hash.copy().digest('hex')}`, labels(), lease)
  }
  return { digest: `sha256:${hash.digest('hex')}`, sizeBytes }
}

/** The same bytes were there before: they need our labels too. */
async function label(core: Core, digest: string, labels: Record<string, string>, lease: string): Promise<void> {
  const paths = Object.keys(labels).map(key => `labels.${key}`)
  if (paths.length > 0) await core.content.update({ info: { digest, labels }, updateMask: paths }, { lease })
}
