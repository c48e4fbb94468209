/** Config and HostConfig of a container, in the form of each version of the API. */
import { type ApiVersion, atLeast } from '../http/api-version.ts'
import type { Config, HostConfig } from './create/body.ts'

/** Members that Go leaves out when there is nothing in them. */
const omittedWhenEmpty = ['Annotations', 'Mounts', 'StorageOpt', 'Sysctls', 'Tmpfs'] as const

/** Of kernels before 5.4; taken out of the API with 1.42. */
const formerMembers = { KernelMemory: 0, KernelMemoryTCP: 0 } as const

export function hostConfigJson(host: HostConfig, version: ApiVersion): object {
  const { Cgroup: _, ...rest } = host
  const shown: Partial<typeof rest> = rest
  for (const name of omittedWhenEmpty) if (isEmpty(host[name])) delete shown[name]
  if (!atLeast(version, '1.43')) delete shown.Annotations
  const mounts = host.Mounts?.map(withoutZeros) ?? []
  return {
    ...shown,
    ...(mounts.length > 0 && { Mounts: mounts }),
    ...(!atLeast(version, '1.42') && formerMembers),
    Cgroup: '',
    OomKillDisable: host.OomKillDisable ?? false,
    MemorySwappiness: host.MemorySwappiness ?? null,
    PidsLimit: host.PidsLimit ?? null,
    MaskedPaths: host.MaskedPaths ?? (host.Privileged ? null : defaultMaskedPaths),
    ReadonlyPaths: host.ReadonlyPaths ?? (host.Privileged ? null : defaultReadonlyPaths),
  }
}

/** Docker's defaults, which clients compare with (core/spec/system-paths.ts applies them). */
const defaultMaskedPaths = [
  '/proc/asound',
  '/proc/acpi',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware',
  '/sys/devices/virtual/powercap',
]
const defaultReadonlyPaths = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger']

export function configJson(config: Config, version: ApiVersion): object {
  const {
    MacAddress,
    NetworkDisabled,
    ArgsEscaped,
    StopTimeout,
    StopSignal,
    Healthcheck,
    Shell,
    ExposedPorts,
    ...rest
  } = config
  return {
    ...rest,
    Labels: rest.Labels ?? {},
    ...(ExposedPorts && { ExposedPorts }),
    ...(Healthcheck && { Healthcheck: withoutZeros(Healthcheck) }),
    ...(MacAddress && !atLeast(version, '1.44') && { MacAddress }),
    ...(NetworkDisabled && { NetworkDisabled }),
    ...(ArgsEscaped && { ArgsEscaped }),
    ...(StopTimeout !== undefined && { StopTimeout }),
    ...(StopSignal && { StopSignal }),
    ...(Shell && { Shell }),
  }
}

function isEmpty(value: object | null): boolean {
  return value === null || Object.keys(value).length === 0
}

function withoutZeros(object: object): object {
  return Object.fromEntries(
    Object.entries(object).filter(
      ([, value]) => value !== 0 && value !== null && value !== '' && value !== false && value !== undefined,
    ),
  )
}
