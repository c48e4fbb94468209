/**
 * What a network plugin has handed out, durably, by network and by attachment. It is to be written before the kernel, a
 * binary or the caller hears of it.
 */
import type { Store } from '#api/store/store.ts'
import type { Attachment, Network } from './network.ts'

export type AttachmentKey = Attachment & { readonly networkId: string }

/** Rows of a plugin's own making; `nameOf` says whose an attachment's row is. */
export class NetworkRecords<NetworkRow extends { readonly network: Network }, AttachmentRow> {
  readonly #store: Store
  readonly #nameOf: (row: AttachmentRow) => AttachmentKey

  constructor(store: Store, nameOf: (row: AttachmentRow) => AttachmentKey) {
    this.#store = store
    this.#nameOf = nameOf
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

  attachments(networkId: string): AttachmentRow[] {
    return this.#store.read(tx => Array.from(tx.list<AttachmentRow>(['attachment', networkId]), ({ value }) => value))
  }

  attachment(key: AttachmentKey): AttachmentRow | undefined {
    return this.#store.read(tx => tx.get<AttachmentRow>(keyOf(key)))
  }

  putAttachment(row: AttachmentRow): void {
    this.#store.write(tx => tx.put(keyOf(this.#nameOf(row)), row))
  }

  removeAttachment(key: AttachmentKey): void {
    this.#store.write(tx => tx.delete(keyOf(key)))
  }

  close(): Promise<void> {
    return this.#store.close()
  }
}

function keyOf({ networkId, containerId, interfaceName }: AttachmentKey) {
  return ['attachment', networkId, containerId, interfaceName] as const
}
