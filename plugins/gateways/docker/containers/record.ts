/**
 * What Docker knows of a container beyond the core: kept as an extension of its record, so that `ctr -n moby` and
 * `gctr -n moby` show one and the same container, and nothing is lost with the gateway.
 */
import type { Any } from '#api/gen/google/protobuf/any.ts'
import type { Config, EndpointWish, HostConfig } from './create/body.ts'

/** Name of the extension; its value is JSON. */
export const dockerExtension = 'gantry.docker.v1.Container'

/** A mount as `docker inspect` shows it, resolved when the container was created. */
export interface MountPoint {
  Type: 'bind' | 'volume' | 'tmpfs' | 'image'
  /** Volumes alone. */
  Name?: string
  Source: string
  Destination: string
  Driver?: string
  Mode: string
  RW: boolean
  Propagation: string
  /** Made for this container alone: goes with it when asked (`rm -v`, `--rm`). */
  anonymous?: boolean
  /** What the image has at the place is not copied into the empty volume. */
  noCopy?: boolean
  subpath?: string
  /** Where the engine mounts it for this container, when that is not `Source` itself (placed-mounts.ts). */
  at?: string
  /** Its data are there only while the volume is mounted for somebody. */
  needsMount?: boolean
  /** As the OCI spec takes them. */
  options: string[]
}

export interface HealthProbe {
  Start: string
  End: string
  ExitCode: number
  Output: string
}

export interface Health {
  Status: 'starting' | 'healthy' | 'unhealthy' | 'none'
  FailingStreak: number
  Log: HealthProbe[]
}

/** What the container can be started from instead of its command (checkpoints.ts). */
export interface Checkpoint {
  name: string
  /** Of a blob in the core's content store. */
  digest: string
  sizeBytes: number
}

export interface Failure {
  error: string
  exitCode: number
  /** Joining its networks failed: at the first, before it had any files, or at another, before it had its name. */
  at?: 'first network' | 'further network'
}

export interface DockerRecord {
  /** Of the API, completed by the image's. */
  config: Config
  hostConfig: HostConfig
  /** By network name: what was asked for. */
  endpoints: Record<string, EndpointWish>
  /** RFC 3339 with nanoseconds. */
  created: string
  imageId: string
  path: string
  args: string[]
  mounts: MountPoint[]
  platform: string
  manifestDigest: string
  /** Why the last start came to nothing; gone with the next one that does not. */
  failure?: Failure
  checkpoints?: Checkpoint[]
}

export function encodeRecord(record: DockerRecord): Record<string, Any> {
  return { [dockerExtension]: { typeUrl: dockerExtension, value: Buffer.from(JSON.stringify(record)) } }
}

/** Undefined for a container that another client made. */
export function decodeRecord(extensions: Readonly<Record<string, Any>>): DockerRecord | undefined {
  const extension = extensions[dockerExtension]
  return extension && (JSON.parse(extension.value.toString()) as DockerRecord)
}
