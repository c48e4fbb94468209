/** Which addresses a container gets. */
import { createHash } from 'node:crypto'
import { alreadyExists, invalidArgument, resourceExhausted } from '#api/errors/errors.ts'
import { addressBytes, contains, type Family, families, familyOf, parseAddress } from '#sdk/network-addresses.ts'
import { type AssignedAddress, describe, type Ledger, type NetworkRow } from './ledger.ts'
import { type AddressPlan, planOf } from './subnets.ts'

/**
 * One address for each family that the network has: the one asked for, or the next free one behind the last given out,
 * going round (an address that has just become free is the last to be used again), of the first subnet with room.
 * RESOURCE_EXHAUSTED: there is none.
 */
export function chooseAddresses(ledger: Ledger, row: NetworkRow, wanted: readonly string[]): AssignedAddress[] {
  const plans = planOf(row.network.subnets)
  const asked = wanted.map(text => parseAddress(text))
  for (const [i, address] of asked.entries()) {
    const twin = asked.slice(0, i).find(other => familyOf(other) === familyOf(address))
    if (twin)
      throw invalidArgument(`addresses: ${twin} and ${address} are of one family; an interface gets one of each`)
  }
  return families.flatMap(family => {
    const own = plans.filter(({ subnet }) => subnet.family === family)
    const address = asked.find(text => familyOf(text) === family)
    if (address !== undefined) return checkedAddress(ledger, row, plans, address)
    return own.length === 0 ? [] : freeAddress(ledger, row, own, family)
  })
}

function checkedAddress(
  ledger: Ledger,
  { network }: NetworkRow,
  plans: readonly AddressPlan[],
  address: string,
): AssignedAddress {
  const plan = plans.find(({ subnet }) => contains(subnet, address))
  if (plan === undefined)
    throw invalidArgument(
      `address ${address} is outside the subnets of network "${network.name}": ${plans.map(({ cidr }) => cidr).join(', ')}`,
    )
  const purpose = plan.excluded.get(address)
  if (purpose !== undefined && !purpose.startsWith('reserved'))
    throw alreadyExists(`address ${address} is ${purpose} of network "${network.name}"`)
  const holder = ledger.index(network.id).holder(address)
  if (holder)
    throw alreadyExists(`address ${address} of network "${network.name}" belongs to container ${describe(holder)}`)
  return { address, subnet: plan.cidr }
}

function freeAddress(
  ledger: Ledger,
  { network, cursors }: NetworkRow,
  plans: readonly AddressPlan[],
  family: Family,
): AssignedAddress {
  const index = ledger.index(network.id)
  for (const { cidr } of plans) {
    const address = index.nextFree(cidr, cursors[cidr])
    if (address !== undefined) return { address, subnet: cidr }
  }
  const leaving = ledger
    .departures()
    .filter(({ networkId }) => networkId === network.id)
    .flatMap(({ addresses }) => addresses)
    .find(({ address }) => familyOf(address) === family && index.holder(address) === undefined)
  if (leaving) return leaving
  throw resourceExhausted(
    `no free address in ${plans.map(({ cidr }) => cidr).join(', ')} of network "${network.name}": ${index.attachments().length} containers have them; remove some, or use a larger subnet`,
  )
}

/** A locally administered address that names its IP address: hardly two alike in a network, and the same after a restart. */
export function macFor(address: string): string {
  const bytes = addressBytes(address)
  const four = bytes.length === 4 ? bytes : createHash('sha256').update(bytes).digest().subarray(0, 4)
  return [0x02, 0x42, ...four].map(byte => byte.toString(16).padStart(2, '0')).join(':')
}
