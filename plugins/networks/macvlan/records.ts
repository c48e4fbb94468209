/** What was handed out, durably: written before the kernel or the caller hears of it. */
import type { Store } from '#api/store/store.ts'
import type { Attachment, Network } from '#sdk/network.ts'

export interface NetworkRow {
  /** As answered. */
  readonly network: Network
  /** As asked for. */
  readonly asked: Network
}

export interface AttachmentRow extends Attachment {
  readonly networkId: string
  readonly netnsPath: string
  /** At most one for each family, without prefix length. */
  readonly addresses: readonly string[]
  readonly mac: string
  readonly defaultRoute: boolean
  readonly metric: number
}

export type AttachmentKey = Attachment & { readonly networkId: string }

export class Records {
  readonly #store: Store

  constructor(store: Store) {
    this.#store = store
  }

  network(id: string): NetworkRow | undefined {
    return this.#store.read(tx => tx.get<NetworkRow>(['network', id]))
  }

  networks(): NetworkRow[] {
    return this.#store.read(tx => Array.from(tx.list<NetworkRow>(['network']), ({ value }) => value))
  }

  putNetwork(row: NetworkRow): void {
    this.#store.write(tx => tx.put(['network', row.network.id], row))
  }

  removeNetwork(id: string): void {
    this.#store.write(tx => tx.delete(['network', id]))
  }

  /** Of a network, or of all. */
  attachments(...scope: [] | [networkId: string]): AttachmentRow[] {
    return this.#store.read(tx => Array.from(tx.list<AttachmentRow>(['attachment', ...scope]), ({ value }) => value))
  }

  attachment(key: AttachmentKey): AttachmentRow | undefined {
    return this.#store.read(tx => tx.get<AttachmentRow>(keyOf(key)))
  }

  putAttachment(row: AttachmentRow): void {
    this.#store.write(tx => tx.put(keyOf(row), row))
  }

  removeAttachment(key: AttachmentKey): void {
    this.#store.write(tx => tx.delete(keyOf(key)))
  }

  close(): Promise<void> {
    return this.#store.close()
  }
}

export function describe({ containerId, interfaceName }: Attachment): string {
  return `${containerId} (${interfaceName})`
}

function keyOf({ networkId, containerId, interfaceName }: AttachmentKey) {
  return ['attachment', networkId, containerId, interfaceName] as const
}
