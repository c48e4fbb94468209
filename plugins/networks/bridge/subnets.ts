/** Which addresses a network is made of. */
import { failedPrecondition, invalidArgument, resourceExhausted } from '#api/errors/errors.ts'
import type { Subnet } from '#sdk/network.ts'
import {
  addressAt,
  addressBits,
  contains,
  type Family,
  familyOf,
  formatSubnet,
  type IpSubnet,
  overlaps,
  parseAddress,
  parseSubnet,
  subnetAt,
} from '#sdk/network-addresses.ts'
import { AddressPool } from './address-pool.ts'
import type { SubnetPool } from './config.ts'

/** How many holders an error message names. */
const maxNamed = 20

/** A block that must be left alone, and whose it is. */
export interface TakenSubnet {
  readonly subnet: IpSubnet
  readonly by: string
}

/** A subnet's addresses. */
export interface AddressPlan {
  readonly cidr: string
  readonly subnet: IpSubnet
  readonly gateway: string
  /** Addresses are given out of this part of the subnet. */
  readonly range: IpSubnet
  /** Never given out: gateway, network and broadcast address, and those the user reserved, with their purpose. */
  readonly excluded: ReadonlyMap<string, string>
}

/** Completes a subnet the user asked for. FAILED_PRECONDITION: it overlaps another one. */
export function checkedSubnet(wanted: Subnet, taken: readonly TakenSubnet[]): Subnet {
  const subnet = parseSubnet(wanted.cidr, 'network.subnets: cidr')
  const [shortest, longest] = subnet.family === 4 ? [8, 30] : [16, 126]
  if (subnet.prefix < shortest || subnet.prefix > longest)
    throw invalidArgument(
      `network.subnets: ${wanted.cidr} has a prefix length that is not between ${shortest} and ${longest}`,
    )
  const conflict = taken.find(other => overlaps(other.subnet, subnet))
  if (conflict)
    throw failedPrecondition(
      `network.subnets: ${wanted.cidr} overlaps ${formatSubnet(conflict.subnet)} of ${conflict.by}; choose another one`,
    )
  return completed(subnet, wanted)
}

/** Cuts a free subnet of a family from the pools; `spread` shifts where the search begins. RESOURCE_EXHAUSTED. */
export function freeSubnet(
  family: Family,
  pools: readonly SubnetPool[],
  taken: readonly TakenSubnet[],
  spread: number,
): Subnet {
  const own = pools.filter(({ base }) => base.family === family)
  const nearby = taken.filter(({ subnet }) => own.some(({ base }) => overlaps(base, subnet)))
  for (const { base, size } of own) {
    const count = 2 ** Math.min(size - base.prefix, 24)
    const slots = new AddressPool(count)
    const slotSize = 1n << BigInt(addressBits(family) - size)
    for (const { subnet } of nearby) takeSlots(slots, base, slotSize, subnet)
    const free = slots.next(spread % count)
    if (free !== undefined) return completed(subnetAt(family, base.first + BigInt(free) * slotSize, size))
  }
  throw resourceExhausted(exhausted(family, own, nearby))
}

function takeSlots(slots: AddressPool, base: IpSubnet, slotSize: bigint, { family, first, last }: IpSubnet): void {
  if (family !== base.family || last < base.first || first > base.last) return
  const slot = (value: bigint) => Number((value - base.first) / slotSize)
  const end = Math.min(last > base.last ? slots.size - 1 : slot(last), slots.size - 1)
  for (let i = first < base.first ? 0 : slot(first); i <= end; i++) slots.take(i)
}

function exhausted(family: Family, pools: readonly SubnetPool[], taken: readonly TakenSubnet[]): string {
  const all = pools.map(({ base, size }) => `${formatSubnet(base)} in /${size}`).join(', ')
  const holders = taken.map(({ subnet, by }) => `${formatSubnet(subnet)} by ${by}`)
  const more = holders.length > maxNamed ? ` and ${holders.length - maxNamed} more` : ''
  const held = holders.slice(0, maxNamed).join(', ')
  return `no free IPv${family} subnet in the pools (${all || 'none configured'}); taken are ${held || 'none'}${more}: remove networks or configure another pool`
}

function completed(subnet: IpSubnet, wanted: Partial<Subnet> = {}): Subnet {
  const whole = {
    cidr: formatSubnet(subnet),
    gateway: wanted.gateway
      ? parseAddress(wanted.gateway, 'network.subnets: gateway')
      : addressAt(subnet.family, subnet.first + 1n),
    range: wanted.range ?? '',
    reserved: wanted.reserved ?? {},
  }
  addressPlan(whole)
  return whole
}

/** INVALID_ARGUMENT: gateway, range or a reserved address outside the subnet. */
function addressPlan({ cidr, gateway, range, reserved }: Subnet): AddressPlan {
  const subnet = parseSubnet(cidr, 'network.subnets: cidr')
  const inside = (text: string, field: string) => {
    const address = parseAddress(text, field)
    if (contains(subnet, address)) return address
    throw invalidArgument(`${field} ${text} is outside the subnet ${cidr}`)
  }
  const part = range === '' ? subnet : parseSubnet(range, 'network.subnets: range')
  if (part.family !== subnet.family || part.first < subnet.first || part.last > subnet.last)
    throw invalidArgument(`network.subnets: range ${range} is not within the subnet ${cidr}`)
  const [first, last] = [addressAt(subnet.family, subnet.first), addressAt(subnet.family, subnet.last)]
  const gatewayAddress = inside(gateway, 'network.subnets: gateway')
  if (gatewayAddress === first || (subnet.family === 4 && gatewayAddress === last))
    throw invalidArgument(`network.subnets: gateway ${gateway} is the network or broadcast address of ${cidr}`)
  const excluded = new Map([
    [first, 'the network address'],
    ...(subnet.family === 4 ? [[last, 'the broadcast address'] as const] : []),
    ...Object.entries(reserved).map(
      ([address, purpose]) => [inside(address, 'network.subnets: reserved'), `reserved (${purpose})`] as const,
    ),
    [gatewayAddress, 'the gateway'],
  ])
  return { cidr, subnet, gateway: gatewayAddress, range: part, excluded }
}

const plans = new WeakMap<readonly Subnet[], readonly AddressPlan[]>()

/** The plans of a network's subnets, in their order. */
export function planOf(subnets: readonly Subnet[]): readonly AddressPlan[] {
  const known = plans.get(subnets)
  if (known) return known
  const made = subnets.map(addressPlan)
  plans.set(subnets, made)
  return made
}

/** INVALID_ARGUMENT: subnets of one network that overlap, or of a family that the network has not. */
export function checkTogether(subnets: readonly Subnet[], families: readonly Family[]): void {
  for (const [i, one] of subnets.entries()) {
    if (!families.includes(familyOf(one.cidr)))
      throw invalidArgument(
        `network.subnets: ${one.cidr} is IPv${familyOf(one.cidr)}, which is disabled for the network`,
      )
    const other = subnets.slice(0, i).find(({ cidr }) => overlaps(parseSubnet(cidr), parseSubnet(one.cidr)))
    if (other) throw invalidArgument(`network.subnets: ${one.cidr} overlaps ${other.cidr} of the same network`)
  }
}
