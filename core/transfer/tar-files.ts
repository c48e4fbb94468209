/**
 * The files of a tar, in one pass over bytes that stay where they are. tar-stream reads the headers, in all their formats; it would also
 * copy each file's bytes through two streams, in chunks whose garbage costs more than hashing and writing them.
 */
import { once } from 'node:events'
import { extract, type Header } from 'tar-stream'
import { invalidArgument } from '#api/errors/errors.ts'
import type { ByteReader } from './byte-reader.ts'

export interface TarFile {
  readonly header: Header
  /** Its bytes in pieces, each valid until the next; to be taken once, wholly or not at all. */
  readonly body: AsyncIterable<Uint8Array>
}

const blockBytes = 512
/** Of a long name or a pax header; PATH_MAX is 4096. */
const maxLongHeaderBytes = 1024 * 1024
/** pax headers, global ones, GNU's long names and long links: they describe the header that follows. */
const precursors = new Set(['x', 'g', 'L', 'K'])

/** Throws plain errors for what is no tar, or ends too early. */
export async function* tarFiles(reader: ByteReader): AsyncGenerator<TarFile, undefined> {
  for (;;) {
    const header = await nextHeader(reader)
    if (header === undefined) return
    const sizeBytes = header.type === 'directory' ? 0 : (header.size ?? 0)
    if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0) throw new Error(`Invalid tar header: size ${header.size}`)
    const body = reader.pieces(sizeBytes)
    yield { header, body }
    for await (const _ of body);
    await reader.exactly(padding(sizeBytes))
  }
}

/** Undefined at the end: of the archive (blocks of zeros), or of the data. */
async function nextHeader(reader: ByteReader): Promise<Header | undefined> {
  const blocks: Buffer[] = []
  for (;;) {
    const block = await reader.exactly(blockBytes)
    if (block.length === 0 && blocks.length === 0) return undefined
    if (block.length < blockBytes) throw new Error('Unexpected end of data: a header is cut off')
    if (isZero(block)) continue
    blocks.push(block)
    if (!precursors.has(String.fromCharCode(block[156] ?? 0))) return await parsed(blocks)
    const sizeBytes = Number.parseInt(block.toString('latin1', 124, 136), 8)
    if (!(sizeBytes <= maxLongHeaderBytes)) throw invalidArgument(`the archive has a header of ${sizeBytes} bytes`)
    blocks.push(await reader.exactly(sizeBytes + padding(sizeBytes)))
  }
}

async function parsed(blocks: readonly Buffer[]): Promise<Header> {
  const parser = extract()
  const entry = once(parser, 'entry')
  for (const block of blocks) parser.write(block)
  try {
    const [header] = (await entry) as [Header]
    return header
  } finally {
    parser.destroy()
  }
}

function isZero(block: Buffer): boolean {
  return block.every(byte => byte === 0)
}

function padding(sizeBytes: number): number {
  return (blockBytes - (sizeBytes % blockBytes)) % blockBytes
}
