/** Which addresses a network is made of. */
import { failedPrecondition, invalidArgument, notImplemented, resourceExhausted } from '#api/errors/errors.ts'
import type { Network, Subnet } from '#sdk/network.ts'
import {
  contains,
  formatIpv4,
  formatIpv4Subnet,
  type Ipv4Subnet,
  ipv4SubnetOf,
  overlaps,
  parseIpv4,
  parseIpv4Subnet,
} from '#sdk/network-addresses.ts'
import type { SubnetPool } from './config.ts'

/** A block that must be left alone, and whose it is. */
export interface TakenSubnet {
  readonly subnet: Ipv4Subnet
  readonly by: string
}

/** A network's addresses as numbers. */
export interface AddressPlan {
  readonly subnet: Ipv4Subnet
  readonly gateway: number
  /** Addresses are given out of this part of the subnet. */
  readonly range: Ipv4Subnet
  /** Never given out: gateway, network and broadcast address, and those the user reserved, with their purpose. */
  readonly excluded: ReadonlyMap<number, string>
}

/** Completes what the user asked for, or cuts a free subnet from the pools; `spread` shifts where the search begins. */
export function chooseSubnet(
  wanted: readonly Subnet[],
  pools: readonly SubnetPool[],
  taken: readonly TakenSubnet[],
  spread: number,
): Subnet {
  const [first, ...others] = wanted
  if (others.length > 0) throw notImplemented(`network.subnets: a second subnet (${others[0]?.cidr})`)
  if (first?.cidr.includes(':')) throw notImplemented(`network.subnets: IPv6 (${first.cidr})`)
  const subnet = first?.cidr ? checkedSubnet(first.cidr, taken) : freeSubnet(pools, taken, spread)
  const completed = {
    cidr: formatIpv4Subnet(subnet),
    gateway: first?.gateway || formatIpv4(subnet.first + 1),
    range: first?.range ?? '',
    reserved: first?.reserved ?? {},
  }
  addressPlan(completed)
  return completed
}

function checkedSubnet(cidr: string, taken: readonly TakenSubnet[]): Ipv4Subnet {
  const subnet = parseIpv4Subnet(cidr, 'network.subnets: cidr')
  if (subnet.prefix < 8 || subnet.prefix > 30)
    throw invalidArgument(`network.subnets: ${cidr} has a prefix length that is not between 8 and 30`)
  const conflict = taken.find(other => overlaps(other.subnet, subnet))
  if (conflict)
    throw failedPrecondition(
      `network.subnets: ${cidr} overlaps ${formatIpv4Subnet(conflict.subnet)} of ${conflict.by}; choose another one`,
    )
  return subnet
}

function freeSubnet(pools: readonly SubnetPool[], taken: readonly TakenSubnet[], spread: number): Ipv4Subnet {
  for (const { base, size } of pools) {
    const count = 2 ** (size - base.prefix)
    for (let i = 0; i < count; i++) {
      const first = base.first + ((spread + i) % count) * 2 ** (32 - size)
      const candidate = ipv4SubnetOf(first, size)
      if (!taken.some(({ subnet }) => overlaps(subnet, candidate))) return candidate
    }
  }
  const all = pools.map(({ base, size }) => `${formatIpv4Subnet(base)} in /${size}`).join(', ')
  const holders = [...new Set(taken.map(({ by }) => by))].slice(0, 20).join(', ')
  throw resourceExhausted(`no free subnet in the pools (${all}); taken by ${holders}`)
}

/** INVALID_ARGUMENT: gateway, range or a reserved address outside the subnet. */
export function addressPlan({ cidr, gateway, range, reserved }: Subnet): AddressPlan {
  const subnet = parseIpv4Subnet(cidr, 'network.subnets: cidr')
  const inside = (text: string, field: string) => {
    const address = parseIpv4(text, field)
    if (contains(subnet, address)) return address
    throw invalidArgument(`${field} ${text} is outside the subnet ${cidr}`)
  }
  const part = range === '' ? subnet : parseIpv4Subnet(range, 'network.subnets: range')
  if (!contains(subnet, part.first) || !contains(subnet, part.last))
    throw invalidArgument(`network.subnets: range ${range} is not within the subnet ${cidr}`)
  const gatewayAddress = inside(gateway, 'network.subnets: gateway')
  if (gatewayAddress === subnet.first || gatewayAddress === subnet.last)
    throw invalidArgument(`network.subnets: gateway ${gateway} is the network or broadcast address of ${cidr}`)
  const excluded = new Map([
    [subnet.first, 'the network address'],
    [subnet.last, 'the broadcast address'],
    ...Object.entries(reserved).map(
      ([address, purpose]) => [inside(address, 'network.subnets: reserved'), `reserved (${purpose})`] as const,
    ),
    [gatewayAddress, 'the gateway'],
  ])
  return { subnet, gateway: gatewayAddress, range: part, excluded }
}

/** The plan of an answered network, which has exactly one subnet. */
export function planOf(network: Network): AddressPlan {
  const [subnet] = network.subnets
  if (subnet === undefined) throw invalidArgument(`network ${network.id} has no subnet`)
  return addressPlan(subnet)
}
