/** Flags of `docker run` from what the API was told. Defaults that Docker fills in by itself are said all the same. */
import { mountFlag } from './mount-flag.ts'
import type { DockerConfig, DockerEndpoint, DockerHostConfig, DockerRecord } from './record.ts'

type Flags = string[]

const one = (name: string, value: string | number | null | undefined): Flags => (value ? [name, String(value)] : [])
const each = (name: string, values: readonly string[]): Flags => values.flatMap(value => [name, value])
const pairs = (name: string, map: Readonly<Record<string, string>>): Flags =>
  Object.entries(map).flatMap(([key, value]) => [name, value === '' ? key : `${key}=${value}`])
const when = (condition: boolean, name: string): Flags => (condition ? [name] : [])

export function configFlags(config: DockerConfig, id: string, hasOwnName: boolean): Flags {
  const isNamed = hasOwnName && config.Hostname !== id.slice(0, 12)
  return [
    ...one('--hostname', isNamed ? config.Hostname : ''),
    ...one('--domainname', config.Domainname),
    ...one('--user', config.User),
    ...when(config.Tty, '--tty'),
    ...when(config.OpenStdin, '--interactive'),
    ...each('--env', config.Env),
    ...one('--workdir', config.WorkingDir),
    ...pairs('--label', config.Labels),
    ...each('--expose', config.ExposedPorts),
    ...each('--volume', config.Volumes),
    ...one('--stop-signal', config.StopSignal),
    ...(config.StopTimeout === undefined || config.StopTimeout === null
      ? []
      : ['--stop-timeout', `${config.StopTimeout}`]),
    ...healthFlags(config.Healthcheck),
  ]
}

/** A check in exec form can come from an image alone: it comes from there again. */
function healthFlags(health: DockerConfig['Healthcheck']): Flags {
  if (!health) return []
  const [kind = '', command = ''] = health.Test
  if (kind === 'NONE') return ['--no-healthcheck']
  const duration = (name: string, nanos: number) => one(name, nanos === 0 ? '' : `${nanos}ns`)
  return [
    ...one('--health-cmd', kind === 'CMD-SHELL' ? command : ''),
    ...duration('--health-interval', health.Interval),
    ...duration('--health-timeout', health.Timeout),
    ...duration('--health-start-period', health.StartPeriod),
    ...duration('--health-start-interval', health.StartInterval),
    ...one('--health-retries', health.Retries),
  ]
}

export function hostFlags(host: DockerHostConfig): Flags {
  return [...lifeFlags(host), ...mountFlags(host), ...securityFlags(host), ...limitFlags(host), ...logFlags(host)]
}

function lifeFlags(host: DockerHostConfig): Flags {
  const { Name = '', MaximumRetryCount = 0 } = host.RestartPolicy ?? {}
  const policy = Name === 'on-failure' && MaximumRetryCount > 0 ? `${Name}:${MaximumRetryCount}` : Name
  return [
    ...when(host.AutoRemove, '--rm'),
    ...one('--restart', policy === 'no' ? '' : policy),
    ...when(host.Init, '--init'),
    ...one('--runtime', host.Runtime),
    ...pairs('--annotation', host.Annotations),
  ]
}

function mountFlags(host: DockerHostConfig): Flags {
  return [
    ...each('--volume', host.Binds),
    ...each('--mount', host.Mounts.map(mountFlag)),
    ...each(
      '--tmpfs',
      Object.entries(host.Tmpfs).map(([path, options]) => (options === '' ? path : `${path}:${options}`)),
    ),
    ...each('--volumes-from', host.VolumesFrom),
    ...one('--volume-driver', host.VolumeDriver),
    ...one('--shm-size', host.ShmSize),
    ...pairs('--storage-opt', host.StorageOpt),
    ...when(host.ReadonlyRootfs, '--read-only'),
  ]
}

function securityFlags(host: DockerHostConfig): Flags {
  // What Docker adds when the host's processes are seen.
  const security = host.SecurityOpt.filter(option => option !== 'label=disable')
  return [
    ...when(host.Privileged, '--privileged'),
    ...each('--cap-add', host.CapAdd),
    ...each('--cap-drop', host.CapDrop),
    ...each('--security-opt', security),
    ...each('--group-add', host.GroupAdd),
    ...one('--ipc', host.IpcMode),
    ...one('--pid', host.PidMode),
    ...one('--uts', host.UTSMode),
    ...one('--userns', host.UsernsMode),
    ...one('--cgroupns', host.CgroupnsMode),
    ...one('--cgroup-parent', host.CgroupParent),
    ...pairs('--sysctl', host.Sysctls),
    ...each(
      '--device',
      host.Devices.map(({ PathOnHost, PathInContainer, CgroupPermissions }) =>
        [PathOnHost, PathInContainer || PathOnHost, CgroupPermissions || 'rwm'].join(':'),
      ),
    ),
    ...each('--device-cgroup-rule', host.DeviceCgroupRules),
  ]
}

function limitFlags(host: DockerHostConfig): Flags {
  const swappiness = host.MemorySwappiness
  return [
    ...one('--memory', host.Memory),
    ...one('--memory-swap', host.MemorySwap),
    ...one('--memory-reservation', host.MemoryReservation),
    ...(swappiness === undefined || swappiness === null ? [] : ['--memory-swappiness', `${swappiness}`]),
    ...one('--cpus', host.NanoCpus / 1e9),
    ...one('--cpu-shares', host.CpuShares),
    ...one('--cpu-period', host.CpuPeriod),
    ...one('--cpu-quota', host.CpuQuota),
    ...one('--cpuset-cpus', host.CpusetCpus),
    ...one('--cpuset-mems', host.CpusetMems),
    ...one('--pids-limit', host.PidsLimit),
    ...one('--blkio-weight', host.BlkioWeight),
    ...one('--oom-score-adj', host.OomScoreAdj),
    ...when(host.OomKillDisable, '--oom-kill-disable'),
    ...each(
      '--ulimit',
      host.Ulimits.map(({ Name, Soft, Hard }) => `${Name}=${Soft}:${Hard}`),
    ),
  ]
}

function logFlags({ LogConfig }: DockerHostConfig): Flags {
  return LogConfig ? [...one('--log-driver', LogConfig.Type), ...pairs('--log-opt', LogConfig.Config)] : []
}

export function networkFlags({ hostConfig: host, endpoints }: DockerRecord): Flags {
  const mode = host.NetworkMode === 'default' ? 'bridge' : host.NetworkMode
  const names = Object.keys(endpoints)
  const all = names.length === 0 || names.includes(mode) ? [...new Set([mode, ...names])] : names
  // Nothing was asked for: that is what says so.
  const networks = all.length === 1 && host.NetworkMode === 'default' ? [] : all
  return [
    ...each(
      '--network',
      networks.map(name => networkFlag(name, endpoints[name])),
    ),
    ...each('--publish', ports(host)),
    ...when(host.PublishAllPorts, '--publish-all'),
    ...each('--link', host.Links),
    ...each('--dns', host.Dns),
    ...each('--dns-option', host.DnsOptions),
    ...each('--dns-search', host.DnsSearch),
    ...each('--add-host', host.ExtraHosts),
  ]
}

/** The long form tells each network's own wishes; it is CSV too. */
function networkFlag(name: string, endpoint: DockerEndpoint | undefined): string {
  if (!endpoint) return name
  const { IPAMConfig, Aliases, MacAddress, DriverOpts, GwPriority } = endpoint
  const words = [
    ...Aliases.map(alias => `alias=${alias}`),
    ...(IPAMConfig?.IPv4Address ? [`ip=${IPAMConfig.IPv4Address}`] : []),
    ...(IPAMConfig?.IPv6Address ? [`ip6=${IPAMConfig.IPv6Address}`] : []),
    ...(MacAddress ? [`mac-address=${MacAddress}`] : []),
    ...(GwPriority ? [`gw-priority=${GwPriority}`] : []),
    ...Object.entries(DriverOpts).map(([key, value]) => `driver-opt=${key}=${value}`),
  ]
  return words.length === 0 ? name : [`name=${name}`, ...words].join(',')
}

function ports({ PortBindings }: DockerHostConfig): string[] {
  return Object.entries(PortBindings).flatMap(([port, bindings]) =>
    bindings.map(({ HostIp, HostPort }) => {
      const address = HostIp.includes(':') ? `[${HostIp}]` : HostIp
      const host = [...(address ? [address] : []), ...(address || HostPort ? [HostPort] : [])]
      return [...host, port].join(':')
    }),
  )
}
