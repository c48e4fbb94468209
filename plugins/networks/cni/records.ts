/**
 * What was asked of CNI binaries, durably: written before ADD, so that DEL always knows what to undo, and again with the
 * result, which CHECK and DEL need.
 */
import type { Store } from '#api/store/store.ts'
import type { AddRequest, Network } from '#sdk/network.ts'
import { NetworkRecords } from '#sdk/network-records.ts'
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

export type Records = NetworkRecords<NetworkRow, AttachmentRow>

export function recordsIn(store: Store): Records {
  return new NetworkRecords(store, ({ request }) => request)
}
