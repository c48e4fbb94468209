/** Small pieces of one file, mostly asked for in the order in which they lie there. */
import { open } from 'node:fs/promises'

const blockBytes = 1024 * 1024

interface Block {
  readonly start: number
  readonly bytes: Buffer
}

/** Reads block by block, and keeps the last one: a thousand small files cost a few system calls. */
export class SpooledBytes {
  readonly #file: string
  #last: Promise<Block> = Promise.resolve({ start: 0, bytes: Buffer.alloc(0) })

  constructor(file: string) {
    this.#file = file
  }

  /** `size`: at most a block. Fewer bytes where the file ends. */
  async at(offset: number, size: number): Promise<Buffer> {
    const { start, bytes } = await this.#last
    if (offset >= start && offset + size <= start + bytes.length)
      return bytes.subarray(offset - start, offset - start + size)
    this.#last = this.#read(offset)
    return (await this.#last).bytes.subarray(0, size)
  }

  async #read(start: number): Promise<Block> {
    await using handle = await open(this.#file)
    const buffer = Buffer.allocUnsafe(blockBytes)
    const { bytesRead } = await handle.read(buffer, 0, blockBytes, start)
    return { start, bytes: buffer.subarray(0, bytesRead) }
  }
}
