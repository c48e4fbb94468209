/**
 * IPv4 addresses and subnets as numbers, for allocation and for the kernel's bytes. Addresses are unsigned 32-bit
 * numbers in host order: `172.30.0.1` is 0xac1e0001. Everything here is pure.
 */
import { isIPv4 } from 'node:net'
import { invalidArgument } from '#api/errors/errors.ts'

/** A block of addresses, `first` and `last` included. */
export interface Ipv4Subnet {
  readonly first: number
  readonly last: number
  /** Length of the network part, 0 to 32. */
  readonly prefix: number
}

/** INVALID_ARGUMENT names `field`. */
export function parseIpv4(text: string, field = 'address'): number {
  if (!isIPv4(text)) throw invalidArgument(`${field} "${text}" is not an IPv4 address such as 172.30.0.2`)
  return text.split('.').reduce((value, part) => value * 256 + Number(part), 0)
}

export function formatIpv4(address: number): string {
  return [24, 16, 8, 0].map(shift => (address >>> shift) & 255).join('.')
}

/** The kernel's form: four bytes, network order. */
export function ipv4Bytes(address: number): Buffer {
  const bytes = Buffer.allocUnsafe(4)
  bytes.writeUInt32BE(address)
  return bytes
}

export function ipv4FromBytes(bytes: Uint8Array): number {
  return Buffer.from(bytes).readUInt32BE(0)
}

/** Reads `172.30.1.0/24`. Host bits must be zero; INVALID_ARGUMENT says which subnet was probably meant. */
export function parseIpv4Subnet(text: string, field = 'subnet'): Ipv4Subnet {
  const { address, prefix } = parseIpv4WithPrefix(text, field)
  const subnet = ipv4SubnetOf(address, prefix)
  if (subnet.first !== address)
    throw invalidArgument(`${field} "${text}" has host bits set: the subnet is ${formatIpv4Subnet(subnet)}`)
  return subnet
}

/** Reads an address with its prefix length: `172.30.1.7/24`. */
export function parseIpv4WithPrefix(text: string, field = 'address'): { address: number; prefix: number } {
  const [, ip = '', length = ''] = /^([^/]*)\/(\d{1,2})$/.exec(text) ?? []
  const prefix = Number(length)
  if (!isIPv4(ip) || length === '' || prefix > 32)
    throw invalidArgument(`${field} "${text}" is not an IPv4 address with a prefix length such as 172.30.1.0/24`)
  return { address: parseIpv4(ip, field), prefix }
}

/** The block of that size which holds `address`. */
export function ipv4SubnetOf(address: number, prefix: number): Ipv4Subnet {
  const size = 2 ** (32 - prefix)
  const first = address - (address % size)
  return { first, last: first + size - 1, prefix }
}

export function formatIpv4Subnet({ first, prefix }: Ipv4Subnet): string {
  return `${formatIpv4(first)}/${prefix}`
}

export function contains(subnet: Ipv4Subnet, address: number): boolean {
  return address >= subnet.first && address <= subnet.last
}

export function overlaps(a: Ipv4Subnet, b: Ipv4Subnet): boolean {
  return a.first <= b.last && b.first <= a.last
}
