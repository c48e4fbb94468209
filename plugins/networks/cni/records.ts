/**
 * What was asked of CNI binaries, durably: written before ADD, so that DEL always knows what to undo, and again with the
 * result, which CHECK and DEL need.
 */
import type { Store } from '#api/store/store.ts'
import type { AddRequest, Attachment, Network } from '#sdk/network.ts'
import type { Conflist } from './conflist.ts'
import type { RawResult } from './runtime.ts'

export interface NetworkRow {
  readonly network: Network
  readonly asked: Network
  readonly list: Conflist
}

export interface AttachmentRow {
  readonly request: AddRequest
  /** As it was at ADD: a list that changes meanwhile does not change how this one is undone. */
  readonly list: Conflist
  /** Name that binaries know the container by. */
  readonly cniId: string
  readonly capabilityArgs: Readonly<Record<string, unknown>>
  /** Absent: ADD has not ended, or failed. */
  readonly result?: RawResult
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

  attachments(networkId: string): AttachmentRow[] {
    return this.#store.read(tx => Array.from(tx.list<AttachmentRow>(['attachment', networkId]), ({ value }) => value))
  }

  attachment(key: AttachmentKey): AttachmentRow | undefined {
    return this.#store.read(tx => tx.get<AttachmentRow>(keyOf(key)))
  }

  putAttachment(row: AttachmentRow): void {
    this.#store.write(tx => tx.put(keyOf(row.request), row))
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
