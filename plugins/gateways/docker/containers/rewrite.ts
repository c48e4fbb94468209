/** A container's record in its new form, and what the core makes of it: for the next start. */
import type { ContainerConfig } from '#api/gen/gantry/services/containers/v1/containers.ts'
import type { Input } from '#api/rpc/definition.ts'
import type { Core } from '../core-client/core.ts'
import { modeOf } from './create/networks.ts'
import { translate } from './create/translate.ts'
import { type DockerRecord, encodeRecord } from './record.ts'
import type { Found } from './store.ts'

/** Answers the core's warnings. What the core knows better than the record stays: image, networks, ids of other containers. */
export async function rewrite(
  core: Pick<Core, 'containers'>,
  { id, name, core: known }: Found,
  record: DockerRecord,
  changes: Pick<Input<ContainerConfig>, 'networks'> = {},
): Promise<string[]> {
  const { config, hostConfig: host, mounts, endpoints } = record
  const { image = '', platform = '', networks = [], pidMode = '', ipcMode = '', snapshotter = '' } = known.config ?? {}
  const translated = translate({
    ...{ id, name, image, imageId: record.imageId, platform, config, host, mounts },
    networks: { mode: modeOf(host), endpoints },
  })
  // Networks may have changed by connect and disconnect since it was created, and names of containers have become ids.
  const kept = { networks: networks.map(one => ({ ...one, late: true })), pidMode, ipcMode, snapshotter }
  const { warnings } = await core.containers.update({
    id,
    config: { ...translated, ...kept, ...changes },
    extensions: encodeRecord(record),
  })
  return warnings
}
