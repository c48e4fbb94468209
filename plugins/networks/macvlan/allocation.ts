/** Which addresses a network has, and which a container gets. */
import { createHash } from 'node:crypto'
import { alreadyExists, invalidArgument, resourceExhausted } from '#api/errors/errors.ts'
import type { AddRequest, Network, Subnet } from '#sdk/network.ts'
import {
  addressAt,
  addressBytes,
  addressValue,
  contains,
  type Family,
  families,
  familyOf,
  type IpSubnet,
  parseAddress,
  parseSubnet,
} from '#sdk/network-addresses.ts'
import { type AttachmentRow, describe } from './records.ts'

/** The wire is somebody else's: its subnets cannot be guessed. INVALID_ARGUMENT names what is missing or outside. */
export function completedSubnets({ name, subnets, disableIpv4, disableIpv6 }: Network): Subnet[] {
  if (subnets.length === 0)
    throw invalidArgument(`network "${name}": a macvlan network needs the subnet of the wire its parent is on`)
  const refused = subnets.find(({ cidr }) => (familyOf(cidr) === 4 ? disableIpv4 : disableIpv6))
  if (refused) throw invalidArgument(`network.subnets: ${refused.cidr} is of a family that is disabled for the network`)
  return subnets.map(completed)
}

function completed({ cidr, gateway, range, reserved }: Subnet): Subnet {
  const subnet = parseSubnet(cidr, 'network.subnets: cidr')
  const inside = (text: string, field: string) => {
    const address = parseAddress(text, `network.subnets: ${field}`)
    if (contains(subnet, address)) return address
    throw invalidArgument(`network.subnets: ${field} ${address} is outside the subnet ${cidr}`)
  }
  const part = range === '' ? subnet : parseSubnet(range, 'network.subnets: range')
  if (part.family !== subnet.family || part.first < subnet.first || part.last > subnet.last)
    throw invalidArgument(`network.subnets: range ${range} is not within the subnet ${cidr}`)
  for (const address of Object.keys(reserved)) inside(address, 'reserved')
  const first = addressAt(subnet.family, subnet.first + 1n)
  return { cidr, gateway: gateway === '' ? first : inside(gateway, 'gateway'), range, reserved }
}

/** One address for each family of the network: the one asked for, or the first free one. */
export function chooseAddresses(
  network: Network,
  wanted: AddRequest['addresses'],
  held: readonly AttachmentRow[],
): string[] {
  const asked = wanted.map(text => parseAddress(text))
  const holders = new Map(held.flatMap(row => row.addresses.map(address => [address, row] as const)))
  const stray = asked.find(address => !network.subnets.some(({ cidr }) => contains(parseSubnet(cidr), address)))
  if (stray)
    throw invalidArgument(
      `address ${stray} is outside the subnets of network "${network.name}": ${network.subnets.map(({ cidr }) => cidr).join(', ')}`,
    )
  return families.flatMap(family => {
    const own = network.subnets.filter(({ cidr }) => familyOf(cidr) === family)
    const [address, second] = asked.filter(text => familyOf(text) === family)
    if (second)
      throw invalidArgument(`addresses: ${address} and ${second} are of one family; an interface gets one of each`)
    if (address !== undefined) return checkedAddress(network, own, address, holders)
    return own.length === 0 ? [] : freeAddress(network, own, holders, family)
  })
}

function checkedAddress(
  { name }: Network,
  subnets: readonly Subnet[],
  address: string,
  holders: ReadonlyMap<string, AttachmentRow>,
): string {
  if (subnets.some(({ gateway }) => gateway === address))
    throw alreadyExists(`address ${address} is the gateway of network "${name}"`)
  const holder = holders.get(address)
  if (holder) throw alreadyExists(`address ${address} of network "${name}" belongs to container ${describe(holder)}`)
  return address
}

function freeAddress(
  { name }: Network,
  subnets: readonly Subnet[],
  holders: ReadonlyMap<string, AttachmentRow>,
  family: Family,
): string {
  for (const { cidr, gateway, range, reserved } of subnets) {
    const whole = parseSubnet(cidr)
    const isUsable = (address: string) =>
      address !== gateway && reserved[address] === undefined && !isEdge(whole, address) && !holders.has(address)
    const { first, last } = range === '' ? whole : parseSubnet(range)
    // At most as many are taken as there are holders and exceptions: the search is as long as these are many.
    for (let value = first; value <= last; value++) {
      const address = addressAt(family, value)
      if (isUsable(address)) return address
    }
  }
  throw resourceExhausted(
    `no free address in ${subnets.map(({ cidr, range }) => range || cidr).join(', ')} of network "${name}": ${holders.size} are given out; remove some containers, or use a larger range`,
  )
}

/** Network and broadcast address; of IPv6 the first one (subnet-router anycast). */
function isEdge({ family, first, last }: IpSubnet, address: string): boolean {
  const value = addressValue(address)
  return value === first || (family === 4 && value === last)
}

/** Locally administered, and the same for the same address. */
export function macFor(address: string): string {
  const bytes = addressBytes(address)
  const four = bytes.length === 4 ? bytes : createHash('sha256').update(bytes).digest().subarray(0, 4)
  return [0x02, 0x42, ...four].map(byte => byte.toString(16).padStart(2, '0')).join(':')
}
