/**
 * What the plugin has handed out, durably: networks, attachments with their addresses and ports, and links that are
 * still to be removed. All of it is in memory too; every change is one transaction on disk (0.2 ms) before it is there.
 *
 * An attachment is recorded before its kernel objects exist, and turns into a *departure* (the name of a link to remove)
 * when it ends: so the kernel never holds anything that is not written here.
 */
import type { Store } from '#api/store/store.ts'
import type { PublishedPort } from '#sdk/iptables-wrapper/firewall.ts'
import type { AddRequest, Attachment, Network } from '#sdk/network.ts'
import { NetworkIndex } from './network-index.ts'

export interface NetworkRow {
  /** As answered. */
  readonly network: Network
  /** As asked for: a repeat with this, or with the answer, is the same network. */
  readonly asked: Network
  /** Link name. */
  readonly bridge: string
  /** Link name of what joins it to other hosts, if it spans several. */
  readonly overlay?: string
  /** By subnet: the address given out last; the next search begins behind it. */
  readonly cursors: Readonly<Record<string, string>>
}

export interface AssignedAddress {
  readonly address: string
  /** CIDR of the subnet it is from. */
  readonly subnet: string
}

export interface AttachmentRow extends Attachment {
  readonly networkId: string
  readonly namespace: string
  readonly netnsPath: string
  /** At most one for each family. */
  readonly addresses: readonly AssignedAddress[]
  readonly mac: string
  /** Name of the host's end of the link. */
  readonly hostLink: string
  readonly defaultRoute: boolean
  readonly metric: number
  readonly ports: readonly PublishedPort[]
  /** The first is its own. */
  readonly names: readonly string[]
  /** Alias to the name of another container of the network. */
  readonly links: Readonly<Record<string, string>>
  readonly dns: AddRequest['dns']
  /** Of this attachment alone (endpoint-options.ts); absent in rows of before 2026-11-21. */
  readonly options?: Readonly<Record<string, string>>
}

/** A link that must still go; its addresses are not given to another container before, unless there are no others. */
export interface Departure {
  readonly hostLink: string
  readonly networkId: string
  readonly addresses: readonly AssignedAddress[]
}

export type AttachmentKey = Pick<AttachmentRow, 'networkId' | 'containerId' | 'interfaceName'>

export class Ledger {
  readonly #store: Store
  readonly #networks: Map<string, NetworkRow>
  readonly #attachments: Map<string, AttachmentRow>
  readonly #departures: Map<string, Departure>
  readonly #indices = new Map<string, NetworkIndex>()
  #sequence: number

  constructor(store: Store) {
    this.#store = store
    const rows = <T>(kind: string) => store.read(tx => Array.from(tx.list<T>([kind]), ({ value }) => value))
    this.#networks = new Map(rows<NetworkRow>('network').map(row => [row.network.id, row]))
    this.#attachments = new Map(rows<AttachmentRow>('attachment').map(row => [textOf(row), row]))
    this.#departures = new Map(rows<Departure>('departure').map(row => [row.hostLink, row]))
    for (const row of this.#attachments.values()) this.index(row.networkId).add(row)
    for (const { networkId, addresses } of this.#departures.values()) this.index(networkId).keep(addresses)
    this.#sequence = store.read(tx => tx.get<number>(['sequence']) ?? 0)
  }

  networks(): NetworkRow[] {
    return [...this.#networks.values()]
  }

  network(id: string): NetworkRow | undefined {
    return this.#networks.get(id)
  }

  attachments(networkId?: string): AttachmentRow[] {
    return networkId === undefined ? [...this.#attachments.values()] : this.index(networkId).attachments()
  }

  attachment(key: AttachmentKey): AttachmentRow | undefined {
    return this.#attachments.get(textOf(key))
  }

  /** Who has what in a network. */
  index(networkId: string): NetworkIndex {
    const known = this.#indices.get(networkId) ?? new NetworkIndex(this.#networks.get(networkId)?.network)
    this.#indices.set(networkId, known)
    return known
  }

  departures(): Departure[] {
    return [...this.#departures.values()]
  }

  /** A number for a name; durable with the next write that uses it. */
  nextSequence(): number {
    this.#sequence += 1
    return this.#sequence
  }

  putNetwork(row: NetworkRow): void {
    this.#store.write(tx => {
      tx.put(['network', row.network.id], row)
      tx.put(['sequence'], this.#sequence)
    })
    this.#networks.set(row.network.id, row)
    this.#indices.delete(row.network.id)
  }

  removeNetwork(id: string): void {
    this.#store.write(tx => tx.delete(['network', id]))
    this.#networks.delete(id)
    this.#indices.delete(id)
  }

  /** Records an attachment and moves its network's cursors to the addresses. */
  attach(row: AttachmentRow, network: NetworkRow): void {
    const moved = {
      ...network,
      cursors: { ...network.cursors, ...Object.fromEntries(row.addresses.map(a => [a.subnet, a.address])) },
    }
    this.#store.write(tx => {
      tx.put(diskKey(row), row)
      tx.put(['network', row.networkId], moved)
      tx.put(['sequence'], this.#sequence)
    })
    this.#networks.set(row.networkId, moved)
    this.#attachments.set(textOf(row), row)
    this.index(row.networkId).add(row)
  }

  /** Records other ports, names or links of an attachment; addresses and MAC are for life. */
  change(row: AttachmentRow): void {
    this.#store.write(tx => tx.put(diskKey(row), row))
    this.#attachments.set(textOf(row), row)
    this.index(row.networkId).add(row)
  }

  /** Forgets an attachment; its ports are free when this returns, its link and addresses are a departure. */
  detach(row: AttachmentRow): Departure {
    const departure = { hostLink: row.hostLink, networkId: row.networkId, addresses: row.addresses }
    this.#store.write(tx => {
      tx.delete(diskKey(row))
      tx.put(['departure', row.hostLink], departure)
    })
    this.#attachments.delete(textOf(row))
    this.index(row.networkId).remove(row)
    this.#departures.set(row.hostLink, departure)
    return departure
  }

  departed(departure: Departure): void {
    this.#store.write(tx => tx.delete(['departure', departure.hostLink]))
    if (this.#departures.delete(departure.hostLink)) this.index(departure.networkId).free(departure.addresses)
  }

  close(): Promise<void> {
    return this.#store.close()
  }
}

/** An attachment's name as people read it: `c1 (eth0)`. */
export function describe({ containerId, interfaceName }: Attachment): string {
  return `${containerId} (${interfaceName})`
}

export function textOf({ networkId, containerId, interfaceName }: AttachmentKey): string {
  return `${networkId} ${containerId} ${interfaceName}`
}

function diskKey({ networkId, containerId, interfaceName }: AttachmentKey) {
  return ['attachment', networkId, containerId, interfaceName] as const
}
