/** Docker's configuration as the core's: the one place where the two vocabularies meet. */
import type { ContainerConfig } from '#api/gen/gantry/services/containers/v1/containers.ts'
import type { Input } from '#api/rpc/definition.ts'
import { badRequest } from '../../http/http-error.ts'
import type { MountPoint } from '../record.ts'
import type { Config, HostConfig } from './body.ts'
import { healthCheck } from './health.ts'
import { resources } from './limits.ts'
import { logWish, sizeOf } from './logging.ts'
import { sourceOf } from './mounts.ts'
import { attachments, type NetworkChoice } from './networks.ts'
import { parseSecurity } from './security.ts'

export interface Translation {
  id: string
  name: string
  /** Name of the image record in the core. */
  image: string
  imageId: string
  platform: string
  config: Config
  host: HostConfig
  mounts: readonly MountPoint[]
  networks: NetworkChoice
}

/** 64-bit "no limit" of setrlimit(2). */
const infinity = 0xffff_ffff_ffff_ffffn

export function translate(wish: Translation): Input<ContainerConfig> {
  const { id, name, image, platform, config, host, mounts, networks } = wish
  const security = parseSecurity(host.SecurityOpt ?? [])
  const override = host.MaskedPaths !== null || host.ReadonlyPaths !== null || security.unconfinedPaths
  return {
    id,
    name,
    image,
    platform,
    runtime: runtimeName(host.Runtime),
    process: processOf(config, host),
    // The host keeps its own name.
    hostname: host.UTSMode === 'host' ? '' : config.Hostname,
    domainname: config.Domainname,
    mounts: mounts.map(point => ({
      type: point.Type === 'tmpfs' ? 'tmpfs' : 'bind',
      source: point.Type === 'tmpfs' ? 'tmpfs' : sourceOf(point),
      target: point.Destination,
      options: point.options,
      lateSource: point.needsMount === true || point.at !== undefined,
    })),
    resources: resources(host),
    networks: attachments({ id, name }, networks, config, host),
    privileged: host.Privileged,
    readOnlyRoot: host.ReadonlyRootfs,
    addCapabilities: host.CapAdd ?? [],
    dropCapabilities: host.CapDrop ?? [],
    seccompProfile: security.seccompProfile,
    noNewPrivileges: security.noNewPrivileges,
    apparmorProfile: security.apparmorProfile,
    pidMode: host.PidMode,
    ipcMode: host.IpcMode,
    utsMode: host.UTSMode,
    cgroupMode: host.CgroupnsMode,
    userMode: host.UsernsMode,
    devices: (host.Devices ?? []).map(({ PathOnHost, PathInContainer, CgroupPermissions }) => ({
      hostPath: PathOnHost,
      containerPath: PathInContainer,
      permissions: CgroupPermissions,
    })),
    deviceCgroupRules: host.DeviceCgroupRules ?? [],
    sysctls: host.Sysctls ?? {},
    ulimits: (host.Ulimits ?? []).map(({ Name, Soft, Hard }) => ({ name: Name, soft: limit(Soft), hard: limit(Hard) })),
    log: logWish(host.LogConfig, { name: config.Image, id: wish.imageId }),
    labels: recordLabels(config.Labels ?? {}),
    annotations: host.Annotations ?? {},
    extraHosts: (host.ExtraHosts ?? []).map(entry => entry.replace(/^([^:=]+)=/, '$1:')),
    dns: { nameservers: host.Dns ?? [], search: host.DnsSearch ?? [], options: host.DnsOptions ?? [], domain: '' },
    shmSizeBytes: BigInt(host.ShmSize),
    init: host.Init ?? false,
    rootSizeBytes: rootSize(host.StorageOpt ?? {}),
    cgroupParent: host.CgroupParent,
    ...(host.OomScoreAdj !== 0 && { oomScoreAdj: host.OomScoreAdj }),
    ...(override && {
      overrideSystemPaths: true,
      maskedPaths: host.MaskedPaths ?? [],
      readonlyPaths: host.ReadonlyPaths ?? [],
    }),
    autoRemove: host.AutoRemove,
    releaseOnExit: true,
    restartPolicy: { name: host.RestartPolicy?.Name ?? '', maxRetries: host.RestartPolicy?.MaximumRetryCount ?? 0 },
    stopSignal: config.StopSignal,
    healthCheck: healthCheck(config),
  }
}

/** `--storage-opt size=`: 0 is no limit. 400 for any other option. */
function rootSize(options: Readonly<Record<string, string>>): bigint {
  const stranger = Object.keys(options).find(name => name !== 'size')
  if (stranger !== undefined) throw badRequest(`--storage-opt ${stranger}: size is the only one`)
  return sizeOf(options.size) ?? 0n
}

/** Docker's default runtime is ours. */
function runtimeName(name: string): string {
  return name === 'runc' || name === 'io.containerd.runc.v2' || name === 'gantry' ? '' : name
}

function processOf(config: Config, host: HostConfig): Input<NonNullable<ContainerConfig['process']>> {
  const [rows = 0, columns = 0] = host.ConsoleSize ?? []
  return {
    entrypoint: [...(config.Entrypoint ?? []), ...(config.Cmd ?? [])],
    overrideEntrypoint: true,
    env: config.Env ?? [],
    cwd: config.WorkingDir,
    user: config.User,
    additionalGroups: host.GroupAdd ?? [],
    terminal: config.Tty,
    // A terminal's input stays open when its client detaches.
    stdin: config.OpenStdin ? (config.StdinOnce && !config.Tty ? 'once' : 'open') : 'none',
    consoleRows: rows,
    consoleColumns: columns,
  }
}

const limit = (value: number) => (value < 0 ? infinity : BigInt(value))

/** What fits into a label of containerd; Docker's own are whole in the extension. */
function recordLabels(labels: Readonly<Record<string, string>>): Record<string, string> {
  const fits = ([key, value]: [string, string]) =>
    key !== '' &&
    value !== '' &&
    Buffer.byteLength(key) + Buffer.byteLength(value) <= 4096 &&
    !key.startsWith('containerd.io/')
  return Object.fromEntries(Object.entries(labels).filter(fits))
}
