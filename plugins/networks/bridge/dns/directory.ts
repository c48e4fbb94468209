/** Who has which name, read off the ledger: by network and name, and by network and address. */
import { addressFromBytes, familyOf } from '#sdk/network-addresses.ts'
import type { AttachmentRow, Ledger } from '../ledger.ts'
import { readOptions } from '../options.ts'

/** A network as a client of it sees it. */
interface View {
  readonly networkId: string
  readonly networkName: string
  readonly links: Readonly<Record<string, string>>
}

/** What is known of a name: nothing at all, or its addresses of the family asked for (perhaps none). */
export type Found = readonly string[] | undefined

/** Names are compared without regard to case. */
export class Directory {
  readonly #ledger: Ledger
  /** By network, then lower-case name. */
  readonly #names = new Map<string, Map<string, Set<AttachmentRow>>>()
  /** By key of the attachment: as it was indexed. */
  readonly #indexed = new Map<string, AttachmentRow>()
  /** Turns the order of a service's addresses from one answer to the next. */
  #turn = 0

  constructor(ledger: Ledger) {
    this.#ledger = ledger
  }

  put(row: AttachmentRow): void {
    this.remove(row)
    this.#indexed.set(keyOf(row), row)
    const names = this.#names.get(row.networkId) ?? new Map<string, Set<AttachmentRow>>()
    this.#names.set(row.networkId, names)
    for (const name of row.names) {
      const holders = names.get(name.toLowerCase()) ?? new Set()
      names.set(name.toLowerCase(), holders.add(row))
    }
  }

  remove(row: AttachmentRow): void {
    const old = this.#indexed.get(keyOf(row))
    if (old === undefined) return
    this.#indexed.delete(keyOf(row))
    const names = this.#names.get(old.networkId)
    for (const name of old.names) {
      const holders = names?.get(name.toLowerCase())
      holders?.delete(old)
      if (holders?.size === 0) names?.delete(name.toLowerCase())
    }
  }

  /** Addresses of a name as one container sees it: its links, then its networks' names, alone or with the network's behind. */
  lookUp(views: readonly View[], name: string, family: 4 | 6): Found {
    const wanted = name.toLowerCase()
    for (const { networkId, networkName, links } of views) {
      const linked = Object.entries(links)
        .find(([alias]) => alias.toLowerCase() === wanted)?.[1]
        .toLowerCase()
      const suffix = `.${networkName.toLowerCase()}`
      const short = wanted.endsWith(suffix) ? wanted.slice(0, -suffix.length) : wanted
      const holders = this.#holders(networkId, linked ?? wanted) ?? this.#holders(networkId, short)
      if (holders) return this.#turned(addressesOf(holders, family))
    }
    return undefined
  }

  /** The name behind an address, `<container>.<network>`; undefined: nobody's. */
  nameOf(views: readonly View[], address: string): string | undefined {
    for (const { networkId, networkName } of views) {
      const [own] = this.#ledger.index(networkId).holder(address)?.names ?? []
      if (own !== undefined) return `${own}.${networkName}`
    }
    return undefined
  }

  /** The networks with names that a container is on. */
  viewsOf(rows: readonly AttachmentRow[]): View[] {
    return rows.flatMap(({ networkId, links }) => {
      const network = this.#ledger.network(networkId)?.network
      return network && readOptions(network).names ? [{ networkId, networkName: network.name, links }] : []
    })
  }

  #holders(networkId: string, name: string): ReadonlySet<AttachmentRow> | undefined {
    return this.#names.get(networkId)?.get(name)
  }

  #turned(addresses: readonly string[]): string[] {
    const at = addresses.length === 0 ? 0 : this.#turn++ % addresses.length
    return [...addresses.slice(at), ...addresses.slice(0, at)]
  }
}

function addressesOf(rows: ReadonlySet<AttachmentRow>, family: 4 | 6): string[] {
  return [...rows].flatMap(row => row.addresses.map(({ address }) => address).filter(a => familyOf(a) === family))
}

function keyOf({ networkId, containerId, interfaceName }: AttachmentRow): string {
  return `${networkId} ${containerId} ${interfaceName}`
}

/** `2.0.30.172.in-addr.arpa`, or 32 nibbles before `ip6.arpa` (RFC 1035 3.5, RFC 3596 2.5); undefined for any other name. */
export function reversedAddress(name: string): string | undefined {
  const labels = name.toLowerCase().split('.')
  const digits = labels.slice(0, -2).reverse()
  const zone = labels.slice(-2).join('.')
  if (zone === 'in-addr.arpa' && digits.length === 4 && digits.every(d => /^\d{1,3}$/.test(d) && Number(d) < 256))
    return digits.map(Number).join('.')
  if (zone === 'ip6.arpa' && digits.length === 32 && digits.every(d => /^[0-9a-f]$/.test(d)))
    return addressFromBytes(Buffer.from(digits.join(''), 'hex'))
  return undefined
}
