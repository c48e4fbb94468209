/** In the ledger: what belongs to a network that is not in it, and departures whose link has long gone. */
import type { Leftover } from '#sdk/leftover.ts'
import { listLinks } from '#sdk/rtnetlink/rtnetlink.ts'
import { type AttachmentRow, describe, type Ledger } from '../ledger.ts'

export interface RecordActs {
  readonly ledger: Ledger
  /** Whether its removal is under way. */
  isLeaving(hostLink: string): boolean
  detach(row: AttachmentRow): Promise<void>
}

export async function strayRecords({ ledger, isLeaving, detach }: RecordActs): Promise<Leftover[]> {
  const links = new Set((await listLinks()).map(({ name }) => name))
  const lost = ledger.attachments().filter(({ networkId }) => ledger.network(networkId) === undefined)
  const done = ledger.departures().filter(({ hostLink }) => !links.has(hostLink) && !isLeaving(hostLink))
  return [
    ...lost.map(row => ({ what: `attachment of ${describe(row)} to no network`, remove: () => detach(row) })),
    ...done.map(departure => ({
      what: `addresses ${departure.addresses.map(({ address }) => address).join(', ')} of the removed link ${departure.hostLink}`,
      remove: async () => ledger.departed(departure),
    })),
  ]
}
