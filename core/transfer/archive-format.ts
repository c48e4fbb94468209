/** What a file is, by its first bytes. */

export type Compression = 'none' | 'gzip' | 'zstd'

/** Length of a tar header: enough to tell any of them. */
export const headBytes = 512

export function compressionOf(first: Uint8Array): Compression {
  const [a, b, c, d] = first
  if (a === 0x1f && b === 0x8b) return 'gzip'
  return a === 0x28 && b === 0xb5 && c === 0x2f && d === 0xfd ? 'zstd' : 'none'
}

/** ustar's magic, or a header of the older format whose checksum is right. */
export function isTar(first: Uint8Array): boolean {
  if (first.length < headBytes) return false
  const header = Buffer.from(first.buffer, first.byteOffset, headBytes)
  if (header.toString('latin1', 257, 262) === 'ustar') return true
  const sum = header.reduce((total, byte, i) => total + (i >= 148 && i < 156 ? 32 : byte), 0)
  return Number.parseInt(header.toString('latin1', 148, 156), 8) === sum
}
