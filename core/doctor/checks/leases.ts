import { type LeaseRecord, type Metadata, objectKey } from '#core/metadata/metadata.ts'
import type { Check } from '../doctor.ts'
import { isStored, stored } from '../stored.ts'

/** Resources with their objects, holds with their leases. */
export function leasesCheck({ metadata }: { metadata: Metadata }): Check {
  return {
    name: 'leases',
    async *run(round) {
      for await (const _ of stored<LeaseRecord>(metadata, 'leases')) round.count()
      for await (const { ns, rest } of stored(metadata, 'lease-resources')) {
        round.count()
        const [lease = '', type = '', id = ''] = rest
        const object = `lease ${ns}/${lease}: ${type} ${id}`
        if (!isStored(metadata, ns, 'leases', lease))
          yield {
            severity: 'damage',
            object,
            problem: 'is held by a lease that is gone',
            advice: 'repair drops the hold',
            repair: () => void metadata.write(tx => tx.delete(objectKey(ns, 'lease-resources', lease, type, id))),
          }
        else if (!exists(metadata, ns, type, id))
          yield {
            severity: 'note',
            object,
            problem: 'is dead: there is no such object',
            advice: `nothing to do (a lease may name what is yet to come); gctr leases rm ${lease} ends it`,
          }
      }
    },
  }
}

const kinds = { content: 'blobs', images: 'images', ingests: 'ingests' } as const

function exists(metadata: Metadata, ns: string, type: string, id: string): boolean {
  if (type.startsWith('snapshots/')) return isStored(metadata, ns, 'snapshots', type.slice('snapshots/'.length), id)
  const kind = kinds[type as keyof typeof kinds]
  return kind !== undefined && isStored(metadata, ns, kind, id)
}
