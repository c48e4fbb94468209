/** `POST /volumes/prune`. */
import { statUsage } from '#api/sys/sys.ts'
import { type ApiVersion, atLeast } from '../http/api-version.ts'
import { Filters, hasLabel } from '../http/filters.ts'
import { HttpError } from '../http/http-error.ts'
import type { Query } from '../http/query.ts'
import type { VolumeRecord } from './volume-record.ts'
import { anonymousLabel, type Volumes } from './volumes.ts'

/** Since 1.42 only volumes without a name go, unless all are asked for. */
export async function pruneVolumes(
  volumes: Volumes,
  query: Query,
  version: ApiVersion,
): Promise<{ VolumesDeleted: string[]; SpaceReclaimed: number }> {
  const filters = Filters.read(query, ['label', 'label!', 'all'])
  const all = filters.flag('all') ?? !atLeast(version, '1.42')
  const deleted: string[] = []
  let reclaimed = 0
  for (const record of await volumes.list()) {
    if (!isWanted(record, filters, all) || (await volumes.usersOf(record.name)).length > 0) continue
    const size = await sizeOf(volumes, record)
    if (!(await removed(volumes, record.name))) continue
    deleted.push(record.name)
    reclaimed += size
  }
  volumes.tellPruned(reclaimed)
  return { VolumesDeleted: deleted, SpaceReclaimed: reclaimed }
}

function isWanted({ driver, labels, options }: VolumeRecord, filters: Filters, all: boolean): boolean {
  // What is mounted from elsewhere is not here to be had back.
  if (driver !== 'local' || options !== null) return false
  if (!all && labels?.[anonymousLabel] === undefined) return false
  if (filters.values('label!').some(unwanted => hasLabel(labels ?? {}, unwanted))) return false
  return filters.every('label', wanted => hasLabel(labels ?? {}, wanted))
}

/** Bytes on disk; of something mounted (a share, a directory elsewhere) none are freed. -1: only its plugin knows. */
export async function sizeOf(volumes: Volumes, record: VolumeRecord): Promise<number> {
  if (record.driver !== 'local') return -1
  if (record.options?.device) return 0
  const { mountpoint = '' } = (await volumes.describe(record)) ?? {}
  return (await statUsage(mountpoint)).bytes
}

/** A container may have taken it meanwhile. */
async function removed(volumes: Volumes, name: string): Promise<boolean> {
  try {
    await volumes.remove(name, true)
    return true
  } catch (error) {
    if (error instanceof HttpError && error.status === 409) return false
    throw error
  }
}
