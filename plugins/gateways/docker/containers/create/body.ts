/** The body of `POST /containers/create`: Config, HostConfig and NetworkingConfig of the API's description. */
import * as z from 'zod'
import {
  command,
  flag,
  integer,
  keys,
  list,
  optionalFlag,
  optionalInteger,
  optionalObject,
  text,
  textMap,
  texts,
} from '../../http/go-json.ts'

/** Durations are nanoseconds; 0: as the image says, or the default. */
export const healthSchema = z.object({
  Test: texts,
  Interval: integer,
  Timeout: integer,
  StartPeriod: integer,
  StartInterval: integer,
  Retries: integer,
})

export const configSchema = z.object({
  Hostname: text,
  Domainname: text,
  User: text,
  AttachStdin: flag,
  AttachStdout: flag,
  AttachStderr: flag,
  ExposedPorts: keys,
  Tty: flag,
  OpenStdin: flag,
  StdinOnce: flag,
  Env: texts,
  Cmd: command,
  Healthcheck: optionalObject(healthSchema),
  ArgsEscaped: optionalFlag,
  Image: text,
  Volumes: keys,
  WorkingDir: text,
  Entrypoint: command,
  NetworkDisabled: optionalFlag,
  MacAddress: text,
  OnBuild: texts,
  Labels: textMap,
  StopSignal: text,
  StopTimeout: optionalInteger,
  Shell: command,
})

const deviceLimit = z.object({ Path: text, Rate: integer })
const weightDevice = z.object({ Path: text, Weight: integer })
const device = z.object({ PathOnHost: text, PathInContainer: text, CgroupPermissions: text })
const deviceRequest = z.object({
  Driver: text,
  Count: integer,
  DeviceIDs: texts,
  Capabilities: list(z.array(z.string())),
  Options: textMap,
})

/** Limits, which `update` changes too. */
export const resourceShape = {
  CpuShares: integer,
  Memory: integer,
  NanoCpus: integer,
  CgroupParent: text,
  BlkioWeight: integer,
  BlkioWeightDevice: list(weightDevice),
  BlkioDeviceReadBps: list(deviceLimit),
  BlkioDeviceWriteBps: list(deviceLimit),
  BlkioDeviceReadIOps: list(deviceLimit),
  BlkioDeviceWriteIOps: list(deviceLimit),
  CpuPeriod: integer,
  CpuQuota: integer,
  CpuRealtimePeriod: integer,
  CpuRealtimeRuntime: integer,
  CpusetCpus: text,
  CpusetMems: text,
  Devices: list(device),
  DeviceCgroupRules: texts,
  DeviceRequests: list(deviceRequest),
  MemoryReservation: integer,
  MemorySwap: integer,
  MemorySwappiness: optionalInteger,
  OomKillDisable: optionalFlag,
  PidsLimit: optionalInteger,
  Ulimits: list(z.object({ Name: text, Hard: integer, Soft: integer })),
  CpuCount: integer,
  CpuPercent: integer,
  IOMaximumIOps: integer,
  IOMaximumBandwidth: integer,
}

export const restartPolicySchema = z.object({ Name: text, MaximumRetryCount: integer })

export const mountSchema = z.object({
  Type: text,
  Source: text,
  Target: text,
  ReadOnly: flag,
  Consistency: text,
  BindOptions: optionalObject(
    z.object({
      Propagation: text,
      NonRecursive: flag,
      CreateMountpoint: flag,
      ReadOnlyNonRecursive: flag,
      ReadOnlyForceRecursive: flag,
    }),
  ),
  VolumeOptions: optionalObject(
    z.object({
      NoCopy: flag,
      Labels: textMap,
      DriverConfig: optionalObject(z.object({ Name: text, Options: textMap })),
      Subpath: text,
    }),
  ),
  ImageOptions: optionalObject(z.object({ Subpath: text })),
  TmpfsOptions: optionalObject(z.object({ SizeBytes: integer, Mode: integer, Options: list(z.array(z.string())) })),
})

/** A port as `8080`, `"8080"` or `"8000-8010"`. */
const hostPort = z
  .union([z.string(), z.int().transform(String)])
  .nullish()
  .transform(value => value ?? '')
export const bindingsSchema = z.array(z.object({ HostIp: text, HostPort: hostPort }))
export const portBindingsSchema = z
  .record(
    z.string(),
    bindingsSchema.nullish().transform(value => value ?? []),
  )
  .nullish()
  .transform(value => value ?? null)

export const hostConfigSchema = z.object({
  Binds: texts,
  ContainerIDFile: text,
  LogConfig: optionalObject(z.object({ Type: text, Config: textMap })),
  NetworkMode: text,
  PortBindings: portBindingsSchema,
  RestartPolicy: optionalObject(restartPolicySchema),
  AutoRemove: flag,
  VolumeDriver: text,
  VolumesFrom: texts,
  ConsoleSize: list(z.int()),
  Annotations: textMap,
  CapAdd: command,
  CapDrop: command,
  CgroupnsMode: text,
  Dns: texts,
  DnsOptions: texts,
  DnsSearch: texts,
  ExtraHosts: texts,
  GroupAdd: texts,
  IpcMode: text,
  Cgroup: text,
  Links: texts,
  OomScoreAdj: integer,
  PidMode: text,
  Privileged: flag,
  PublishAllPorts: flag,
  ReadonlyRootfs: flag,
  SecurityOpt: texts,
  StorageOpt: textMap,
  Tmpfs: textMap,
  UTSMode: text,
  UsernsMode: text,
  ShmSize: integer,
  Sysctls: textMap,
  Runtime: text,
  Isolation: text,
  ...resourceShape,
  Mounts: list(mountSchema),
  MaskedPaths: texts,
  ReadonlyPaths: texts,
  Init: optionalFlag,
})

export const endpointSchema = z.object({
  IPAMConfig: optionalObject(z.object({ IPv4Address: text, IPv6Address: text, LinkLocalIPs: texts })),
  Links: texts,
  Aliases: texts,
  MacAddress: text,
  DriverOpts: textMap,
  GwPriority: integer,
  NetworkID: text,
  EndpointID: text,
  IPAddress: text,
})

export const createSchema = configSchema.extend({
  HostConfig: optionalObject(hostConfigSchema),
  NetworkingConfig: optionalObject(
    z.object({
      EndpointsConfig: z
        .record(
          z.string(),
          endpointSchema.nullish().transform(value => value ?? endpointSchema.parse({})),
        )
        .nullish()
        .transform(value => value ?? {}),
    }),
  ),
})

export type Config = z.output<typeof configSchema>
export type HostConfig = z.output<typeof hostConfigSchema>
export type EndpointWish = z.output<typeof endpointSchema>
export type MountWish = z.output<typeof mountSchema>
export type HealthWish = z.output<typeof healthSchema>
export type RestartPolicy = z.output<typeof restartPolicySchema>
