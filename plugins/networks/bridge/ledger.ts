/**
 * What the plugin has handed out, durably: networks, attachments with their addresses and ports, and links that are
 * still to be removed. All of it is in memory too; every change is one transaction on disk (0.2 ms) before it is there.
 *
 * An attachment is recorded before its kernel objects exist, and turns into a *departure* (the name of a link to remove)
 * when it ends: so the kernel never holds anything that is not written here.
 */
import type { Store } from '#api/store/store.ts'
import type { PublishedPort } from '#sdk/iptables-wrapper/firewall.ts'
import type { Attachment, Network } from '#sdk/network.ts'

export interface NetworkRow {
  /** As answered. */
  readonly network: Network
  /** As asked for: a repeat with this, or with the answer, is the same network. */
  readonly asked: Network
  /** Link name. */
  readonly bridge: string
  /** The address given out last; the next search begins behind it. */
  readonly cursor: number
}

export interface AttachmentRow extends Attachment {
  readonly networkId: string
  readonly namespace: string
  readonly netnsPath: string
  readonly address: number
  readonly mac: string
  /** Name of the host's end of the link. */
  readonly hostLink: string
  readonly defaultRoute: boolean
  readonly ports: readonly PublishedPort[]
}

/** A link that must still go; its address is not given to another container before, unless it is the last one. */
export interface Departure {
  readonly hostLink: string
  readonly networkId: string
  readonly address: number
}

export type AttachmentKey = Pick<AttachmentRow, 'networkId' | 'containerId' | 'interfaceName'>

export class Ledger {
  readonly #store: Store
  readonly #networks: Map<string, NetworkRow>
  readonly #attachments: Map<string, AttachmentRow>
  readonly #departures: Map<string, Departure>
  /** By network: who has an address. */
  readonly #addresses = new Map<string, Map<number, AttachmentRow>>()
  #sequence: number

  constructor(store: Store) {
    this.#store = store
    const rows = <T>(kind: string) => store.read(tx => Array.from(tx.list<T>([kind]), ({ value }) => value))
    this.#networks = new Map(rows<NetworkRow>('network').map(row => [row.network.id, row]))
    this.#attachments = new Map(rows<AttachmentRow>('attachment').map(row => [textOf(row), row]))
    this.#departures = new Map(rows<Departure>('departure').map(row => [row.hostLink, row]))
    for (const row of this.#attachments.values()) this.#addressesOf(row.networkId).set(row.address, row)
    this.#sequence = store.read(tx => tx.get<number>(['sequence']) ?? 0)
  }

  networks(): NetworkRow[] {
    return [...this.#networks.values()]
  }

  network(id: string): NetworkRow | undefined {
    return this.#networks.get(id)
  }

  attachments(networkId?: string): AttachmentRow[] {
    const all = [...this.#attachments.values()]
    return networkId === undefined ? all : all.filter(row => row.networkId === networkId)
  }

  attachment(key: AttachmentKey): AttachmentRow | undefined {
    return this.#attachments.get(textOf(key))
  }

  /** Who has an address of a network now. */
  holder(networkId: string, address: number): AttachmentRow | undefined {
    return this.#addresses.get(networkId)?.get(address)
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
  }

  removeNetwork(id: string): void {
    this.#store.write(tx => tx.delete(['network', id]))
    this.#networks.delete(id)
    this.#addresses.delete(id)
  }

  /** Records an attachment and moves its network's cursor to the address. */
  attach(row: AttachmentRow, network: NetworkRow): void {
    const moved = { ...network, cursor: row.address }
    this.#store.write(tx => {
      tx.put(diskKey(row), row)
      tx.put(['network', row.networkId], moved)
      tx.put(['sequence'], this.#sequence)
    })
    this.#networks.set(row.networkId, moved)
    this.#attachments.set(textOf(row), row)
    this.#addressesOf(row.networkId).set(row.address, row)
  }

  /** Forgets an attachment; its address and ports are free when this returns, its link is a departure. */
  detach(row: AttachmentRow): Departure {
    const departure = { hostLink: row.hostLink, networkId: row.networkId, address: row.address }
    this.#store.write(tx => {
      tx.delete(diskKey(row))
      tx.put(['departure', row.hostLink], departure)
    })
    this.#attachments.delete(textOf(row))
    this.#addressesOf(row.networkId).delete(row.address)
    this.#departures.set(row.hostLink, departure)
    return departure
  }

  departed({ hostLink }: Departure): void {
    this.#store.write(tx => tx.delete(['departure', hostLink]))
    this.#departures.delete(hostLink)
  }

  close(): Promise<void> {
    return this.#store.close()
  }

  #addressesOf(networkId: string): Map<number, AttachmentRow> {
    const known = this.#addresses.get(networkId) ?? new Map<number, AttachmentRow>()
    this.#addresses.set(networkId, known)
    return known
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
