/** A container in Docker's tenant namespace that another client made (`gctr -n moby run`), as Docker would have recorded it. */
import type { InspectResponse } from '#api/gen/gantry/services/containers/v1/containers.ts'
import { configSchema, hostConfigSchema } from './create/body.ts'
import type { DockerRecord } from './record.ts'
import { timeText } from './times.ts'

export function foreignRecord({ config, createdAt, labels }: InspectResponse): DockerRecord {
  const { process, image = '', networks = [], autoRemove = false, privileged = false } = config ?? {}
  const [path = '', ...args] = [...(process?.entrypoint ?? []), ...(process?.args ?? [])]
  return {
    config: configSchema.parse({
      Hostname: config?.hostname,
      Image: image,
      Cmd: process?.args ?? null,
      Entrypoint: process?.overrideEntrypoint ? process.entrypoint : null,
      Env: process?.env ?? [],
      User: process?.user ?? '',
      WorkingDir: process?.cwd ?? '',
      Tty: process?.terminal ?? false,
      OpenStdin: (process?.stdin ?? 'none') !== 'none',
      Labels: labels,
    }),
    hostConfig: hostConfigSchema.parse({
      NetworkMode: networks[0]?.network ?? 'bridge',
      AutoRemove: autoRemove,
      Privileged: privileged,
    }),
    endpoints: {},
    created: timeText(createdAt),
    imageId: '',
    path,
    args,
    mounts: (config?.mounts ?? []).map(({ type, source, target, options }) => ({
      Type: type === 'tmpfs' ? 'tmpfs' : 'bind',
      Source: source,
      Destination: target,
      Mode: options.join(','),
      RW: !options.includes('ro'),
      Propagation: '',
      options,
    })),
    platform: 'linux',
    manifestDigest: '',
  }
}
