/** What a file is, by its first bytes. */
import { once } from 'node:events'
import type { Readable } from 'node:stream'

export type Compression = 'none' | 'gzip' | 'zstd'

/** Length of a tar header: enough to tell any of them. */
const enough = 512

export function compressionOf(first: Uint8Array): Compression {
  const [a, b, c, d] = first
  if (a === 0x1f && b === 0x8b) return 'gzip'
  return a === 0x28 && b === 0xb5 && c === 0x2f && d === 0xfd ? 'zstd' : 'none'
}

/** ustar's magic, or a header of the older format whose checksum is right. */
export function isTar(first: Uint8Array): boolean {
  if (first.length < enough) return false
  const header = Buffer.from(first.buffer, first.byteOffset, enough)
  if (header.toString('latin1', 257, 262) === 'ustar') return true
  const sum = header.reduce((total, byte, i) => total + (i >= 148 && i < 156 ? 32 : byte), 0)
  return Number.parseInt(header.toString('latin1', 148, 156), 8) === sum
}

/** The first 512 bytes of a stream, fewer when there are no more; the stream has them still. */
export async function peek(stream: Readable): Promise<Buffer> {
  for (;;) {
    const first: Buffer | null = stream.read(enough)
    if (first !== null) {
      stream.unshift(first)
      return first
    }
    if (stream.readableEnded || stream.destroyed) return Buffer.alloc(0)
    await moreOrEnd(stream)
  }
}

async function moreOrEnd(stream: Readable): Promise<void> {
  const waiting = new AbortController()
  const { signal } = waiting
  try {
    await Promise.race(['readable', 'end', 'close'].map(event => once(stream, event, { signal })))
  } finally {
    waiting.abort()
  }
}
