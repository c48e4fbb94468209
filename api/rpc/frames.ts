/** gRPC's length-prefixed messages (gRPC over HTTP/2, "Length-Prefixed-Message"): one flag byte, u32be length, bytes. */
import { resourceExhausted, unknown } from '../errors/errors.ts'

const headerBytes = 5

/** A message as one frame, uncompressed. */
export function frame(message: Uint8Array): Buffer {
  const framed = Buffer.allocUnsafe(headerBytes + message.length)
  framed[0] = 0
  framed.writeUInt32BE(message.length, 1)
  framed.set(message, headerBytes)
  return framed
}

/** Takes a body's chunks as they come and gives back the whole messages in them. */
export class FrameReader {
  #chunks: Buffer[] = []
  #bytes = 0
  readonly #maxBytes: number

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** RESOURCE_EXHAUSTED for a message over the limit; UNKNOWN for a compressed one (we never offer compression). */
  push(chunk: Buffer): Buffer[] {
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
    const messages: Buffer[] = []
    for (let size = this.#nextSize(); size !== undefined && this.#bytes >= size; size = this.#nextSize())
      messages.push(this.#take(size).subarray(headerBytes))
    return messages
  }

  /** Bytes of the next frame with its header, once the header is there. */
  #nextSize(): number | undefined {
    if (this.#bytes < headerBytes) return undefined
    const header = this.#join(headerBytes)
    if (header[0] !== 0) throw unknown('peer sent a compressed message, which was not offered')
    const length = header.readUInt32BE(1)
    if (length > this.#maxBytes)
      throw resourceExhausted(`message of ${length} bytes is over the limit of ${this.#maxBytes}`)
    return headerBytes + length
  }

  /** The first chunk, made at least `size` bytes long; chunks are joined only when a frame is whole. */
  #join(size: number): Buffer {
    if ((this.#chunks[0]?.length ?? 0) < size) this.#chunks = [Buffer.concat(this.#chunks)]
    return this.#chunks[0] ?? Buffer.alloc(0)
  }

  #take(size: number): Buffer {
    const first = this.#join(size)
    if (first.length === size) this.#chunks.shift()
    else this.#chunks[0] = first.subarray(size)
    this.#bytes -= size
    return first.subarray(0, size)
  }
}
