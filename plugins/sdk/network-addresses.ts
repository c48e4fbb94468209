/**
 * IP addresses and subnets. An *address* is text in canonical form (`172.30.0.2`, RFC 5952's `fd00::2`), so that equal
 * ones are equal strings; where it is counted with it is a bigint, where the kernel sees it four or sixteen bytes.
 * Everything here is pure.
 */
import { isIP, isIPv4 } from 'node:net'
import { invalidArgument } from '#api/errors/errors.ts'

export type Family = 4 | 6

export const families = [4, 6] as const

/** A block of addresses, `first` and `last` included. */
export interface IpSubnet {
  readonly family: Family
  readonly first: bigint
  readonly last: bigint
  /** Length of the network part, 0 to {@link addressBits}. */
  readonly prefix: number
}

export function addressBits(family: Family): number {
  return family === 4 ? 32 : 128
}

/** Of an address or a CIDR. */
export function familyOf(text: string): Family {
  return text.includes(':') ? 6 : 4
}

/** The address that stands for all of a family. */
export function anyAddress(family: Family): string {
  return family === 4 ? '0.0.0.0' : '::'
}

/** Canonical form. INVALID_ARGUMENT names `field`. */
export function parseAddress(text: string, field = 'address'): string {
  if (isIP(text) === 0 || text.includes('%'))
    throw invalidArgument(`${field} "${text}" is not an IP address such as 172.30.0.2 or fd00::2`)
  return isIPv4(text) ? text : addressFromBytes(addressBytes(text))
}

/** The kernel's form: four or sixteen bytes, network order. The text must be an address. */
export function addressBytes(text: string): Buffer {
  if (familyOf(text) === 4) return Buffer.from(text.split('.').map(Number))
  const [head = '', tail] = dottedTailAsGroups(text).split('::')
  const groups = (part: string) => (part === '' ? [] : part.split(':').map(group => Number.parseInt(group, 16)))
  const [before, behind] = [groups(head), tail === undefined ? [] : groups(tail)]
  const all = [...before, ...Array<number>(8 - before.length - behind.length).fill(0), ...behind]
  return Buffer.from(all.flatMap(group => [group >> 8, group & 255]))
}

/** `::ffff:10.0.0.1` ends in an IPv4 address. */
function dottedTailAsGroups(text: string): string {
  const dotted = /\d+\.\d+\.\d+\.\d+$/.exec(text)?.[0]
  if (dotted === undefined) return text
  const bytes = addressBytes(dotted)
  return `${text.slice(0, -dotted.length)}${bytes.readUInt16BE(0).toString(16)}:${bytes.readUInt16BE(2).toString(16)}`
}

export function addressFromBytes(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.')
  const view = Buffer.from(bytes)
  const groups = Array.from({ length: 8 }, (_, i) => view.readUInt16BE(i * 2))
  const { at, length } = longestZeros(groups)
  const text = (part: number[]) => part.map(group => group.toString(16)).join(':')
  if (length < 2) return text(groups)
  return `${text(groups.slice(0, at))}::${text(groups.slice(at + length))}`
}

/** RFC 5952, 4.2.3: the first of the longest runs is shortened. */
function longestZeros(groups: readonly number[]): { at: number; length: number } {
  let best = { at: 0, length: 0 }
  for (let at = 0; at < groups.length; at++) {
    let length = 0
    while (groups[at + length] === 0) length++
    if (length > best.length) best = { at, length }
  }
  return best
}

export function addressValue(text: string): bigint {
  return BigInt(`0x${addressBytes(text).toString('hex')}`)
}

export function addressAt(family: Family, value: bigint): string {
  return addressFromBytes(Buffer.from(value.toString(16).padStart(addressBits(family) / 4, '0'), 'hex'))
}

/** Reads `172.30.1.0/24`. Host bits must be zero; INVALID_ARGUMENT says which subnet was probably meant. */
export function parseSubnet(text: string, field = 'subnet'): IpSubnet {
  const { address, prefix } = parseAddressWithPrefix(text, field)
  const subnet = subnetOf(address, prefix)
  if (subnet.first !== addressValue(address))
    throw invalidArgument(`${field} "${text}" has host bits set: the subnet is ${formatSubnet(subnet)}`)
  return subnet
}

/** Reads an address with its prefix length: `172.30.1.7/24`. */
export function parseAddressWithPrefix(text: string, field = 'address'): { address: string; prefix: number } {
  const [, ip = '', length = ''] = /^([^/%]*)\/(\d{1,3})$/.exec(text) ?? []
  if (isIP(ip) === 0 || Number(length) > addressBits(familyOf(ip)))
    throw invalidArgument(`${field} "${text}" is not an IP address with a prefix length such as 172.30.1.0/24`)
  return { address: parseAddress(ip, field), prefix: Number(length) }
}

/** The block of that size which holds the address. */
export function subnetOf(address: string, prefix: number): IpSubnet {
  return subnetAt(familyOf(address), addressValue(address), prefix)
}

export function subnetAt(family: Family, value: bigint, prefix: number): IpSubnet {
  const size = 1n << BigInt(addressBits(family) - prefix)
  const first = value - (value % size)
  return { family, first, last: first + size - 1n, prefix }
}

export function formatSubnet({ family, first, prefix }: IpSubnet): string {
  return `${addressAt(family, first)}/${prefix}`
}

export function contains(subnet: IpSubnet, address: string): boolean {
  if (familyOf(address) !== subnet.family) return false
  const value = addressValue(address)
  return value >= subnet.first && value <= subnet.last
}

export function overlaps(a: IpSubnet, b: IpSubnet): boolean {
  return a.family === b.family && a.first <= b.last && b.first <= a.last
}
