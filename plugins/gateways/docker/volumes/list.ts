/** `GET /volumes`. */
import { Filters, hasLabel } from '../http/filters.ts'
import type { Query } from '../http/query.ts'
import { describeVolume, volumeJson } from './describe.ts'
import type { PluginVolumes, VolumeDrivers } from './drivers.ts'
import type { VolumeRecord } from './volume-record.ts'
import { recordOf, type Volumes } from './volumes.ts'

interface Listed {
  record: VolumeRecord
  json(): Promise<object>
}

/** Ours, and what plugins have besides. Why a plugin could not be asked is a warning. */
export async function listVolumes(volumes: Volumes, drivers: VolumeDrivers, query: Query): Promise<object> {
  const filters = Filters.read(query, ['name', 'driver', 'label', 'dangling'])
  const dangling = filters.flag('dangling')
  const plugins = await drivers.listed()
  const chosen: object[] = []
  for (const { record, json } of await candidates(volumes, drivers, plugins)) {
    if (!filters.some('name', part => matches(record.name, part))) continue
    if (!filters.some('driver', driver => record.driver === driver)) continue
    if (!filters.every('label', wanted => hasLabel(record.labels ?? {}, wanted))) continue
    if (dangling !== undefined && dangling !== ((await volumes.usersOf(record.name)).length === 0)) continue
    chosen.push(await json())
  }
  return { Volumes: chosen, Warnings: plugins.warnings.length === 0 ? null : plugins.warnings }
}

/** By name. A volume that its plugin does not list is gone. */
async function candidates(volumes: Volumes, drivers: VolumeDrivers, plugins: PluginVolumes): Promise<Listed[]> {
  const told = new Map(plugins.volumes.map(volume => [`${volume.driver}/${volume.name}`, volume]))
  const listed: Listed[] = []
  for (const record of await volumes.list()) {
    const key = `${record.driver}/${record.name}`
    const volume = told.get(key)
    told.delete(key)
    if (volume !== undefined) listed.push(ofPlugin(drivers, record, volume))
    else if (!plugins.answered.has(record.driver)) listed.push({ record, json: () => describeVolume(volumes, record) })
  }
  for (const volume of told.values()) listed.push(ofPlugin(drivers, recordOf(volume, volume.driver), volume))
  return listed.sort((a, b) => (a.record.name < b.record.name ? -1 : 1))
}

function ofPlugin(drivers: VolumeDrivers, record: VolumeRecord, volume: PluginVolumes['volumes'][number]): Listed {
  return { record, json: async () => volumeJson(record, volume, await (await drivers.get(volume.driver)).scope()) }
}

/** Docker takes the value for a regular expression, and for a part of the name when it is none. */
function matches(name: string, part: string): boolean {
  try {
    return new RegExp(part).test(name)
  } catch {
    return name.includes(part)
  }
}
