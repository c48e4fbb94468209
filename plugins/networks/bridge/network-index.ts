/** Who has what in one network, to be found at once: attachments, addresses, MACs, and which addresses are free. */
import type { Network } from '#sdk/network.ts'
import { addressAt, addressValue, contains } from '#sdk/network-addresses.ts'
import { AddressPool } from './address-pool.ts'
import type { AssignedAddress, AttachmentRow } from './ledger.ts'
import { type AddressPlan, planOf } from './subnets.ts'

/** Of a larger range only so many addresses are handed out (a /64 has more than can be counted); others can be asked for. */
const mostHandedOut = 2 ** 24

/** A subnet and what is free of it. */
interface Pool {
  readonly plan: AddressPlan
  readonly free: AddressPool
}

export class NetworkIndex {
  readonly #attachments = new Map<string, AttachmentRow>()
  readonly #addresses = new Map<string, AttachmentRow>()
  readonly #macs = new Map<string, AttachmentRow>()
  readonly #pools: ReadonlyMap<string, Pool>

  constructor(network: Network | undefined) {
    this.#pools = new Map(planOf(network?.subnets ?? []).map(plan => [plan.cidr, poolOf(plan)]))
  }

  attachments(): AttachmentRow[] {
    return [...this.#attachments.values()]
  }

  /** Who has an address now. */
  holder(address: string): AttachmentRow | undefined {
    return this.#addresses.get(address)
  }

  holderOfMac(mac: string): AttachmentRow | undefined {
    return this.#macs.get(mac)
  }

  /** Notes an attachment, or its change. */
  add(row: AttachmentRow): void {
    this.#attachments.set(keyOf(row), row)
    this.#macs.set(row.mac, row)
    for (const { address } of row.addresses) this.#addresses.set(address, row)
    this.keep(row.addresses)
  }

  /** Its addresses stay taken until {@link free}. */
  remove(row: AttachmentRow): void {
    this.#attachments.delete(keyOf(row))
    this.#macs.delete(row.mac)
    for (const { address } of row.addresses) this.#addresses.delete(address)
  }

  keep(addresses: readonly AssignedAddress[]): void {
    this.#each(addresses, (pool, place) => pool.take(place))
  }

  free(addresses: readonly AssignedAddress[]): void {
    const unheld = addresses.filter(({ address }) => !this.#addresses.has(address))
    this.#each(unheld, (pool, place) => pool.free(place))
  }

  /** The next free address of a subnet behind `cursor`; undefined: there is none. */
  nextFree(cidr: string, cursor: string | undefined): string | undefined {
    const pool = this.#pools.get(cidr)
    if (pool === undefined) return undefined
    const { range } = pool.plan
    const from = cursor !== undefined && contains(range, cursor) ? Number(addressValue(cursor) - range.first) + 1 : 0
    const place = pool.free.next(from)
    return place === undefined ? undefined : addressAt(range.family, range.first + BigInt(place))
  }

  #each(addresses: readonly AssignedAddress[], change: (pool: AddressPool, place: number) => void): void {
    for (const { address, subnet } of addresses) {
      const pool = this.#pools.get(subnet)
      const place = pool === undefined ? -1 : placeOf(pool, address)
      if (pool !== undefined && place >= 0) change(pool.free, place)
    }
  }
}

function poolOf(plan: AddressPlan): Pool {
  const count = plan.range.last - plan.range.first + 1n
  const pool = { plan, free: new AddressPool(count > mostHandedOut ? mostHandedOut : Number(count)) }
  for (const address of plan.excluded.keys()) {
    const place = placeOf(pool, address)
    if (place >= 0) pool.free.take(place)
  }
  return pool
}

/** -1: outside of what is handed out. */
function placeOf({ plan, free }: Pool, address: string): number {
  const place = addressValue(address) - plan.range.first
  return place >= 0n && place < BigInt(free.size) ? Number(place) : -1
}

function keyOf({ containerId, interfaceName }: AttachmentRow): string {
  return `${containerId} ${interfaceName}`
}
