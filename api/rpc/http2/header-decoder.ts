/** HPACK, decoding (RFC 7541): one decoder per connection, fed with every header block of the peer in order. */
import { staticTable } from './hpack-static.ts'
import { decodeHuffman } from './huffman.ts'
import { ConnectionError, errorCode } from './wire.ts'

/** By name, lower case as HTTP/2 wants them; of a name said twice the first value (containerd's rule). Latin-1 text. */
export type Headers = ReadonlyMap<string, string>

type Entry = readonly [name: string, value: string]

/** Of the dynamic table: what a peer may use until it is told otherwise, and we tell it nothing. */
const maxTableBytes = 4096
/** RFC 7541, 4.1. */
const entryOverheadBytes = 32
/** Names and values of one list, as Node bounds them. */
const maxListBytes = 65_535

export class HeaderDecoder {
  /** Newest first. */
  readonly #dynamic: Entry[] = []
  #tableBytes = 0
  #limitBytes = maxTableBytes
  #block: Buffer = Buffer.alloc(0)
  #at = 0

  /** A {@link ConnectionError} for what is no header block, or a list that is too long. */
  decode(block: Buffer): Headers {
    this.#block = block
    this.#at = 0
    const headers = new Map<string, string>()
    let listBytes = 0
    while (this.#at < block.length) {
      const entry = this.#next()
      if (entry === undefined) continue
      listBytes += sizeOf(entry)
      if (listBytes > maxListBytes)
        throw new ConnectionError(errorCode.enhanceYourCalm, `headers of more than ${maxListBytes} bytes`)
      if (!headers.has(entry[0])) headers.set(entry[0], entry[1])
    }
    return headers
  }

  /** Undefined: it changed the table's size. The first bits tell what comes (section 6). */
  #next(): Entry | undefined {
    const first = this.#block[this.#at] as number
    if (first & 0x80) return this.#entry(this.#number(7))
    if (first & 0x40) {
      const entry = this.#literal(6)
      this.#add(entry)
      return entry
    }
    if ((first & 0x20) === 0) return this.#literal(4)
    this.#limitBytes = this.#number(5)
    if (this.#limitBytes > maxTableBytes) refuse('a table larger than allowed')
    this.#shrink(this.#limitBytes)
    return undefined
  }

  #literal(prefixBits: number): Entry {
    const index = this.#number(prefixBits)
    const name = index === 0 ? this.#text() : this.#entry(index)[0]
    return [name, this.#text()]
  }

  #entry(index: number): Entry {
    return staticTable[index - 1] ?? this.#dynamic[index - 1 - staticTable.length] ?? refuse(`index ${index}`)
  }

  #add(entry: Entry): void {
    const size = sizeOf(entry)
    this.#shrink(Math.max(0, this.#limitBytes - size))
    if (size > this.#limitBytes) return
    this.#dynamic.unshift(entry)
    this.#tableBytes += size
  }

  #shrink(toBytes: number): void {
    while (this.#tableBytes > toBytes) this.#tableBytes -= sizeOf(this.#dynamic.pop() as Entry)
  }

  /** Section 5.1. */
  #number(prefixBits: number): number {
    const mask = (1 << prefixBits) - 1
    let value = this.#byte() & mask
    if (value < mask) return value
    for (let shift = 0; shift <= 21; shift += 7) {
      const byte = this.#byte()
      value += (byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
    return refuse('a number that is too large')
  }

  /** Section 5.2. */
  #text(): string {
    const isHuffman = ((this.#block[this.#at] ?? 0) & 0x80) !== 0
    const length = this.#number(7)
    const bytes = this.#block.subarray(this.#at, this.#at + length)
    if (bytes.length < length) refuse('an end in the middle')
    this.#at += length
    return isHuffman ? decodeHuffman(bytes) : bytes.toString('latin1')
  }

  #byte(): number {
    return this.#block[this.#at++] ?? refuse('an end in the middle')
  }
}

function sizeOf([name, value]: Entry): number {
  return name.length + value.length + entryOverheadBytes
}

function refuse(what: string): never {
  throw new ConnectionError(errorCode.compression, `headers with ${what}`)
}
