/** Who would miss a plugin. */

import { type Metadata, namespaceNames, objectKey } from '#core/metadata/metadata.ts'
import type { Networks } from '#core/networks/networks.ts'
import type { PluginName } from '#core/plugins/administration.ts'

export interface Users {
  readonly metadata: Metadata
  readonly networks: Networks
}

/** A sentence with the first that uses it; undefined: nothing does. */
export async function useOf({ kind, id }: PluginName, users: Users): Promise<string | undefined> {
  if (kind === 'snapshotter') return snapshotsOf(id, users)
  if (kind === 'network') return await networksOf(id, users)
  return undefined
}

function snapshotsOf(snapshotter: string, { metadata }: Users): string | undefined {
  return metadata.read(tx => {
    for (const ns of namespaceNames(tx))
      for (const { key } of tx.list(objectKey(ns, 'snapshots', snapshotter), { limit: 1 }))
        return `snapshot "${String(key.at(-1))}" of namespace "${ns}"`
    return undefined
  })
}

async function networksOf(driver: string, { metadata, networks }: Users): Promise<string | undefined> {
  for (const ns of metadata.read(namespaceNames)) {
    const using = (await networks.list(ns)).find(record => record.driver === driver)
    if (using !== undefined) return `network "${using.network.name}" of namespace "${ns}"`
  }
  return undefined
}
