/** A folder of content by digest (OCI image spec, image-layout.md): how caches, and images for `oci-layout://`, lie on a disk. */
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { dataLoss, invalidArgument, notFound, resourceExhausted } from '#api/errors/errors.ts'
import { isDigest, sha256Digest } from '#api/types/digest.ts'
import { maxManifestBytes, mediaTypes, type OciDescriptor, parseIndex } from '#api/types/oci.ts'
import type { JsonDescriptor } from '../image/json-blob.ts'

const tagAnnotation = 'org.opencontainers.image.ref.name'

export class OciLayout {
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
  }

  /** What a tag or a digest means; a lone entry is meant by any tag. NOT_FOUND: the folder has none. */
  async find({ tag, digest }: { readonly tag: string; readonly digest?: string | undefined }): Promise<OciDescriptor> {
    const { manifests } = parseIndex(this.#folder, await this.#bounded(join(this.#folder, 'index.json')))
    const meant = manifests.filter(one =>
      digest === undefined ? one.annotations[tagAnnotation] === tag : one.digest === digest,
    )
    const found = meant.at(-1) ?? (digest === undefined && manifests.length === 1 ? manifests[0] : undefined)
    if (found === undefined) throw notFound(`"${digest ?? tag}" in the OCI layout "${this.#folder}"`)
    return found
  }

  /** A document, verified. NOT_FOUND; DATA_LOSS: its bytes have another digest; RESOURCE_EXHAUSTED past 4 MiB. */
  async read(digest: string): Promise<Buffer> {
    const bytes = await this.#bounded(this.#blob(digest))
    if (sha256Digest(bytes) !== digest) throw dataLoss(`"${this.#blob(digest)}" does not have the digest in its name`)
    return bytes
  }

  /** The reader verifies. */
  stream(digest: string): Readable {
    return createReadStream(this.#blob(digest))
  }

  async has(digest: string): Promise<boolean> {
    return await stat(this.#blob(digest)).then(
      () => true,
      () => false,
    )
  }

  /** Written aside and renamed: a blob that is there is whole. */
  async write(digest: string, content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<void> {
    await mkdir(join(this.#folder, 'blobs', 'sha256'), { recursive: true })
    const aside = `${this.#blob(digest)}.${crypto.randomUUID()}`
    try {
      await pipeline(content, createWriteStream(aside))
      await rename(aside, this.#blob(digest))
    } finally {
      await rm(aside, { force: true })
    }
  }

  /** Entries of other tags stay. */
  async tag(name: string, { mediaType, digest, size }: Omit<JsonDescriptor, 'annotations'>): Promise<void> {
    const path = join(this.#folder, 'index.json')
    const known = await this.#bounded(path).then(
      bytes => parseIndex(this.#folder, bytes).manifests,
      () => [],
    )
    const others = known.filter(({ annotations }) => annotations[tagAnnotation] !== name)
    const own = { mediaType, digest, size, annotations: { [tagAnnotation]: name } }
    const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [...others, own] }
    await writeFile(join(this.#folder, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }))
    await writeFile(`${path}.new`, JSON.stringify(index))
    await rename(`${path}.new`, path)
  }

  #blob(digest: string): string {
    if (!isDigest(digest)) throw invalidArgument(`"${digest}" is no sha256 digest`)
    return join(this.#folder, 'blobs', 'sha256', digest.slice('sha256:'.length))
  }

  async #bounded(path: string): Promise<Buffer> {
    try {
      await using file = await open(path)
      const { size } = await file.stat()
      if (size > maxManifestBytes) throw resourceExhausted(`"${path}" is longer than ${maxManifestBytes} bytes`)
      return await readFile(file)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw notFound(`"${path}"`)
      throw error
    }
  }
}
