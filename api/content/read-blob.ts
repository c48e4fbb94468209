/** Blobs of a content store, as its clients read them. */
import { isGantryError, resourceExhausted } from '../errors/errors.ts'
import type { ContentDefinition, Info } from '../gen/containerd/services/content/v1/content.ts'
import type { Client } from '../rpc/definition.ts'
import { maxManifestBytes } from '../types/oci.ts'

/** Whoever has a client of the content service. */
export interface HasContent {
  readonly content: Client<typeof ContentDefinition>
}

/** A manifest, an index or a configuration; undefined when it is not here. RESOURCE_EXHAUSTED past 4 MiB. */
export async function readBlob({ content }: HasContent, digest: string): Promise<Buffer | undefined> {
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
export async function blobInfo({ content }: HasContent, digest: string): Promise<Info | undefined> {
  try {
    return (await content.info({ digest })).info
  } catch (error) {
    if (isGantryError(error, 'NOT_FOUND')) return undefined
    throw error
  }
}
