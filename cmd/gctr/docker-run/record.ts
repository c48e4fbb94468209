/**
 * What the Docker gateway records of a container (extension `gantry.docker.v1.Container` of its record, JSON): the members that
 * `docker run` has flags for, by the names of Docker's API. Whatever else there is, is left alone.
 */
import * as z from 'zod'

export const dockerExtension = 'gantry.docker.v1.Container'

const text = z
  .string()
  .nullish()
  .transform(value => value ?? '')
const number = z
  .number()
  .nullish()
  .transform(value => value ?? 0)
const flag = z
  .boolean()
  .nullish()
  .transform(value => value ?? false)
const texts = z
  .array(z.string())
  .nullish()
  .transform(value => value ?? [])
const textMap = z
  .record(z.string(), z.string())
  .nullish()
  .transform(value => value ?? {})
const keys = z
  .record(z.string(), z.unknown())
  .nullish()
  .transform(value => Object.keys(value ?? {}))
const many = <S extends z.ZodType>(item: S) =>
  z
    .array(item)
    .nullish()
    .transform(value => value ?? [])

const config = z.object({
  Hostname: text,
  Domainname: text,
  User: text,
  Tty: flag,
  OpenStdin: flag,
  Env: texts,
  Cmd: texts,
  Entrypoint: texts,
  Image: z.string(),
  Volumes: keys,
  ExposedPorts: keys,
  WorkingDir: text,
  Labels: textMap,
  StopSignal: text,
  StopTimeout: z.number().nullish(),
  Healthcheck: z
    .object({
      Test: texts,
      Interval: number,
      Timeout: number,
      StartPeriod: number,
      StartInterval: number,
      Retries: number,
    })
    .nullish(),
})

const mount = z.object({
  Type: z.string(),
  Source: text,
  Target: z.string(),
  ReadOnly: flag,
  BindOptions: z
    .object({ Propagation: text, NonRecursive: flag, ReadOnlyNonRecursive: flag, ReadOnlyForceRecursive: flag })
    .nullish(),
  VolumeOptions: z
    .object({
      NoCopy: flag,
      Labels: textMap,
      Subpath: text,
      DriverConfig: z.object({ Name: text, Options: textMap }).nullish(),
    })
    .nullish(),
  ImageOptions: z.object({ Subpath: text }).nullish(),
  TmpfsOptions: z.object({ SizeBytes: number, Mode: number }).nullish(),
})
export type DockerMount = z.output<typeof mount>

const hostConfig = z.object({
  Binds: texts,
  Mounts: many(mount),
  Tmpfs: textMap,
  VolumesFrom: texts,
  VolumeDriver: text,
  NetworkMode: text,
  PortBindings: z
    .record(z.string(), many(z.object({ HostIp: text, HostPort: text })))
    .nullish()
    .transform(value => value ?? {}),
  PublishAllPorts: flag,
  RestartPolicy: z.object({ Name: text, MaximumRetryCount: number }).nullish(),
  LogConfig: z.object({ Type: text, Config: textMap }).nullish(),
  AutoRemove: flag,
  Annotations: textMap,
  CapAdd: texts,
  CapDrop: texts,
  CgroupnsMode: text,
  CgroupParent: text,
  Dns: texts,
  DnsOptions: texts,
  DnsSearch: texts,
  ExtraHosts: texts,
  GroupAdd: texts,
  IpcMode: text,
  Links: texts,
  OomScoreAdj: number,
  OomKillDisable: flag,
  PidMode: text,
  Privileged: flag,
  ReadonlyRootfs: flag,
  SecurityOpt: texts,
  StorageOpt: textMap,
  UTSMode: text,
  UsernsMode: text,
  ShmSize: number,
  Sysctls: textMap,
  Runtime: text,
  Init: flag,
  Memory: number,
  MemorySwap: number,
  MemoryReservation: number,
  MemorySwappiness: z.number().nullish(),
  NanoCpus: number,
  CpuShares: number,
  CpuPeriod: number,
  CpuQuota: number,
  CpusetCpus: text,
  CpusetMems: text,
  PidsLimit: number,
  BlkioWeight: number,
  Ulimits: many(z.object({ Name: z.string(), Soft: z.number(), Hard: z.number() })),
  Devices: many(z.object({ PathOnHost: z.string(), PathInContainer: text, CgroupPermissions: text })),
  DeviceCgroupRules: texts,
})

const endpoint = z.object({
  IPAMConfig: z.object({ IPv4Address: text, IPv6Address: text }).nullish(),
  Aliases: texts,
  MacAddress: text,
  DriverOpts: textMap,
  GwPriority: number,
})
export type DockerEndpoint = z.output<typeof endpoint>

export const dockerRecord = z.object({
  config,
  hostConfig,
  endpoints: z
    .record(z.string(), endpoint)
    .nullish()
    .transform(value => value ?? {}),
})
export type DockerRecord = z.output<typeof dockerRecord>
export type DockerConfig = DockerRecord['config']
export type DockerHostConfig = DockerRecord['hostConfig']
