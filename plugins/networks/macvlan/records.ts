/** What was handed out, durably: written before the kernel or the caller hears of it. */
import type { Store } from '#api/store/store.ts'
import type { Attachment, Network } from '#sdk/network.ts'
import { NetworkRecords } from '#sdk/network-records.ts'

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

export type Records = NetworkRecords<NetworkRow, AttachmentRow>

export function recordsIn(store: Store): Records {
  return new NetworkRecords(store, row => row)
}

export function describe({ containerId, interfaceName }: Attachment): string {
  return `${containerId} (${interfaceName})`
}
