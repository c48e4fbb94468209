/** Who would miss a plugin. */

import { type ContainerRecord, type Metadata, namespaceNames, objectKey } from '#core/metadata/metadata.ts'
import type { Networks } from '#core/networks/networks.ts'
import type { PluginName } from '#core/plugins/administration.ts'
import { serves } from '#core/plugins/runtimes.ts'
import type { Supervisor } from '#core/plugins/supervisor.ts'
import type { TaskManager } from '#core/tasks/tasks.ts'

export interface Users {
  readonly metadata: Metadata
  readonly networks: Networks
  readonly plugins: Pick<Supervisor, 'specOf'>
}

/** A sentence with the first that uses it; undefined: nothing does. */
export async function useOf({ kind, id }: PluginName, users: Users): Promise<string | undefined> {
  if (kind === 'snapshotter') return snapshotsOf(id, users)
  if (kind === 'network') return await networksOf(id, users)
  if (kind === 'runtime') return containerOf(id, users)
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

/** Also one that does not run: it could not start any more. */
function containerOf(id: string, { metadata, plugins }: Users): string | undefined {
  const spec = plugins.specOf('runtime', id)
  const [first] = spec === undefined ? [] : containersOf(metadata, runtime => serves(spec, runtime))
  return first && `container "${first.id}" of namespace "${first.namespace}"`
}

/** Executables of the shims that run for containers of some runtimes. */
export function runningShims(
  serves: (runtime: string) => boolean,
  { metadata, tasks }: { readonly metadata: Metadata; readonly tasks: Pick<TaskManager, 'has' | 'get'> },
): string[] {
  const running = containersOf(metadata, serves).filter(({ namespace, id }) => tasks.has(namespace, id))
  return running.map(({ namespace, id }) => tasks.get(namespace, id).shimPath)
}

function containersOf(
  metadata: Metadata,
  serves: (runtime: string) => boolean,
): { readonly namespace: string; readonly id: string }[] {
  return metadata.read(tx =>
    namespaceNames(tx).flatMap(namespace =>
      Array.from(tx.list<ContainerRecord>(objectKey(namespace, 'containers')))
        .filter(({ value }) => serves(value.runtime.name))
        .map(({ key }) => ({ namespace, id: String(key.at(-1)) })),
    ),
  )
}
