/** A tar archive as it arrives: headers and contents in their order, at little more than the cost of copying. */
import type { Header } from 'tar'
import { invalidArgument } from '#api/errors/errors.ts'
import { blockBytes, decodeHeader, extensionBytes, paddingOf, readExtension } from './tar-header.ts'

export interface TarEntry {
  readonly header: Header
  /** Of pax: what the header had no place for, such as extended attributes. */
  readonly records: ReadonlyMap<string, Buffer>
}

const none: ReadonlyMap<string, Buffer> = new Map()

/** Each entry, and then its content in pieces. INVALID_ARGUMENT for what is no archive, or ends within an entry. */
export async function* readTar(archive: AsyncIterable<Uint8Array>): AsyncGenerator<TarEntry | Buffer> {
  const bytes = new Bytes(archive)
  let records: Map<string, Buffer> | undefined
  for (;;) {
    const block = bytes.ready(blockBytes) ?? (await bytes.take(blockBytes))
    if (block === undefined) return
    const header = decodeHeader(block, records ?? none)
    if (header === undefined) continue
    const extended = extensionBytes(header)
    if (extended !== undefined) {
      records ??= new Map()
      readExtension(records, header, await bytes.wholly(extended))
      await bytes.wholly(paddingOf(extended))
      continue
    }
    yield { header, records: records ?? none }
    records = undefined
    let left = header.size ?? 0
    const padding = paddingOf(left)
    while (left > 0) {
      const piece = await bytes.some(left)
      left -= piece.length
      yield piece
    }
    if (padding > 0 && bytes.ready(padding) === undefined) await bytes.wholly(padding)
  }
}

/** What has arrived and is not read yet. */
class Bytes {
  readonly #chunks: AsyncIterator<Uint8Array>
  #here: Buffer = Buffer.alloc(0)

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]()
  }

  /** So many, where they are here already. */
  ready(count: number): Buffer | undefined {
    if (this.#here.length < count) return undefined
    const taken = this.#here.subarray(0, count)
    this.#here = this.#here.subarray(count)
    return taken
  }

  /** So many; undefined where the archive ends instead. */
  async take(count: number): Promise<Buffer | undefined> {
    while (this.#here.length < count) {
      const rest = this.#here.length
      if (await this.#more()) continue
      if (rest === 0) return undefined
      throw cutOff()
    }
    return this.ready(count)
  }

  async wholly(count: number): Promise<Buffer> {
    const taken = await this.take(count)
    if (taken === undefined) throw cutOff()
    return taken
  }

  /** At least one, at most so many. */
  async some(most: number): Promise<Buffer> {
    if (this.#here.length === 0 && !(await this.#more())) throw cutOff()
    return this.ready(Math.min(most, this.#here.length)) as Buffer
  }

  async #more(): Promise<boolean> {
    const { done, value } = await this.#chunks.next()
    if (done) return false
    const chunk = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    this.#here = this.#here.length === 0 ? chunk : Buffer.concat([this.#here, chunk])
    return true
  }
}

function cutOff() {
  return invalidArgument('the build context is not a readable tar archive: unexpected end of data')
}
