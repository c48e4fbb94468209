/** Which address a container gets. */
import { alreadyExists, invalidArgument, notImplemented, resourceExhausted } from '#api/errors/errors.ts'
import { contains, formatIpv4, formatIpv4Subnet, parseIpv4 } from '#sdk/network-addresses.ts'
import { describe, type Ledger, type NetworkRow } from './ledger.ts'
import type { AddressPlan } from './subnets.ts'

/**
 * The address asked for, or the next free one behind the last given out, going round: an address that has just become
 * free is the last to be used again. RESOURCE_EXHAUSTED: there is none.
 */
export function chooseAddress(ledger: Ledger, row: NetworkRow, plan: AddressPlan, wanted: readonly string[]): number {
  const [first, ...others] = wanted
  if (others.length > 0) throw notImplemented(`addresses: a second address (${others[0]})`)
  if (first?.includes(':')) throw notImplemented(`addresses: IPv6 (${first})`)
  return first === undefined ? freeAddress(ledger, row, plan) : checkedAddress(ledger, row, plan, first)
}

function checkedAddress(ledger: Ledger, { network }: NetworkRow, plan: AddressPlan, text: string): number {
  const address = parseIpv4(text)
  if (!contains(plan.subnet, address))
    throw invalidArgument(
      `address ${text} is outside the subnet ${formatIpv4Subnet(plan.subnet)} of network "${network.name}"`,
    )
  const purpose = plan.excluded.get(address)
  if (purpose !== undefined && !purpose.startsWith('reserved'))
    throw alreadyExists(`address ${text} is ${purpose} of network "${network.name}"`)
  const holder = ledger.holder(network.id, address)
  if (holder)
    throw alreadyExists(`address ${text} of network "${network.name}" belongs to container ${describe(holder)}`)
  return address
}

function freeAddress(ledger: Ledger, { network, cursor }: NetworkRow, plan: AddressPlan): number {
  const { first, last } = plan.range
  const size = last - first + 1
  const leaving = new Set(ledger.departures().flatMap(row => (row.networkId === network.id ? row.address : [])))
  const start = contains(plan.range, cursor) ? cursor - first + 1 : 0
  let lastResort: number | undefined
  for (let i = 0; i < size; i++) {
    const address = first + ((start + i) % size)
    if (plan.excluded.has(address) || ledger.holder(network.id, address)) continue
    if (!leaving.has(address)) return address
    lastResort ??= address
  }
  if (lastResort !== undefined) return lastResort
  throw resourceExhausted(
    `no free address in ${formatIpv4Subnet(plan.range)} of network "${network.name}": ${ledger.attachments(network.id).length} containers have them, ${formatIpv4(first)} to ${formatIpv4(last)}`,
  )
}

/** A locally administered address that names its IPv4 address: never two alike in a subnet, and the same after a restart. */
export function macFor(address: number): string {
  const bytes = [0x02, 0x42, address >>> 24, (address >>> 16) & 255, (address >>> 8) & 255, address & 255]
  return bytes.map(byte => byte.toString(16).padStart(2, '0')).join(':')
}
