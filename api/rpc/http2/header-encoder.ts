/**
 * HPACK, encoding (RFC 7541), in the plainest way: whole entries and names of the static table by their number, all else
 * as it is. Nothing is remembered, so that a block can be made once and sent on every connection; peers are local.
 */
import { staticTable } from './hpack-static.ts'

export type HeaderList = readonly (readonly [name: string, value: string])[]

const entries = new Map(staticTable.map(([name, value], index) => [`${name}\n${value}`, index + 1]))
/** The first of several with the name. */
const names = new Map(staticTable.map(([name], index) => [name, index + 1] as const).reverse())

/** Names in lower case; values in Latin-1. */
export function encodeHeaders(headers: HeaderList): Buffer {
  const block: number[] = []
  for (const [name, value] of headers) {
    const whole = entries.get(`${name}\n${value}`)
    if (whole !== undefined && value !== '') {
      pushNumber(block, whole, 7, 0x80)
      continue
    }
    const index = names.get(name) ?? 0
    pushNumber(block, index, 4, 0)
    if (index === 0) pushText(block, name)
    pushText(block, value)
  }
  return Buffer.from(block)
}

function pushText(block: number[], text: string): void {
  const bytes = Buffer.from(text, 'latin1')
  pushNumber(block, bytes.length, 7, 0)
  for (const byte of bytes) block.push(byte)
}

function pushNumber(block: number[], value: number, prefixBits: number, pattern: number): void {
  const mask = (1 << prefixBits) - 1
  if (value < mask) {
    block.push(pattern | value)
    return
  }
  block.push(pattern | mask)
  let rest = value - mask
  for (; rest >= 128; rest = Math.floor(rest / 128)) block.push((rest % 128) | 128)
  block.push(rest)
}
