/** HPACK's Huffman code, decoding only (RFC 7541, appendix B). What we send is never compressed: the peers are local. */
import { ConnectionError, errorCode } from './wire.ts'

/** Bits of the code of each byte, in base 36. The code is canonical: sorted by length, then by byte, codes count up. */
const codeLengths =
  'dnsssssssoussussssssssusssssssss6aacd68baa8b8666555666666678f6cad67777777777777777777777878djde6f56565666577666567655677777fbeds' +
  'kmkkmmmnmnnnnnonoomnonnnnlmnmnnomlkmmnnlnmmolmnnllmlnmnnkmmmnmmnqqkjmnmpqqqrrqopjlqrrqrollqqsrrrkoklmllnmmppooqnqrqqrrrrrsrrrrrq'

/** Two entries per node, for the bits 0 and 1: the next node, or below zero a byte: -1 is byte 0. */
let tree: Int16Array | undefined

/** `bytes` as Latin-1 text. A {@link ConnectionError} when they are no such code. */
export function decodeHuffman(bytes: Uint8Array): string {
  tree ??= makeTree()
  let text = ''
  let node = 0
  /** Bits since the last byte of text, and whether all were ones: only such may fill the end, less than 8 of them. */
  let open = 0
  let ones = true
  for (const byte of bytes) {
    for (let shift = 7; shift >= 0; shift--) {
      const bit = (byte >> shift) & 1
      const next = tree[2 * node + bit] as number
      if (next === 0) refuse('a code that stands for nothing')
      open++
      ones &&= bit === 1
      if (next > 0) {
        node = next
        continue
      }
      text += String.fromCharCode(-next - 1)
      node = 0
      open = 0
      ones = true
    }
  }
  if (open > 7 || !ones) refuse('padding')
  return text
}

function refuse(what: string): never {
  throw new ConnectionError(errorCode.compression, `${what} in a compressed header`)
}

function makeTree(): Int16Array {
  const lengths = Array.from(codeLengths, digit => Number.parseInt(digit, 36))
  const bytes = lengths.map((_, byte) => byte).sort((a, b) => lengthOf(a) - lengthOf(b) || a - b)
  function lengthOf(byte: number): number {
    return lengths[byte] as number
  }
  // Each inner node has two ends, but for the one way to the end-of-string code, which never comes.
  const nodes = new Int16Array(2 * 512)
  let used = 1
  let code = 0
  let before = lengthOf(bytes[0] as number)
  for (const byte of bytes) {
    const length = lengthOf(byte)
    code <<= length - before
    before = length
    let node = 0
    for (let shift = length - 1; shift > 0; shift--) {
      const at = 2 * node + ((code >> shift) & 1)
      if (nodes[at] === 0) nodes[at] = used++
      node = nodes[at] as number
    }
    nodes[2 * node + (code & 1)] = -byte - 1
    code++
  }
  return nodes
}
