/** What Docker refuses of a create, in its words. What is left is checked by the core. */
import { availableParallelism } from 'node:os'
import { badRequest, notImplemented } from '../../http/http-error.ts'
import { parseSignal } from '../signals.ts'
import type { Config, HealthWish, HostConfig, RestartPolicy } from './body.ts'
import { publishedPorts } from './ports.ts'

const leastMemoryBytes = 6 * 1024 * 1024
const nsPerMs = 1_000_000

export function checkConfig({ WorkingDir, Healthcheck, Env, StopSignal }: Config): void {
  if (WorkingDir !== '' && !WorkingDir.startsWith('/'))
    throw badRequest(`the working directory '${WorkingDir}' is invalid, it needs to be an absolute path`)
  for (const entry of Env ?? [])
    if (entry === '' || entry.startsWith('=')) throw badRequest(`invalid environment variable: ${entry}`)
  if (StopSignal !== '') parseSignal(StopSignal)
  if (Healthcheck) checkHealth(Healthcheck)
}

function checkHealth(health: HealthWish): void {
  const durations = {
    Interval: 'interval',
    Timeout: 'timeout',
    StartPeriod: 'start period',
    StartInterval: 'start interval',
  }
  for (const [member, name] of Object.entries(durations)) {
    const value = health[member as keyof typeof durations]
    if (value !== 0 && value < nsPerMs)
      throw badRequest(`${name[0]?.toUpperCase()}${name.slice(1)} in Healthcheck cannot be less than 1ms`)
  }
  if (health.Retries < 0) throw badRequest('Retries in Healthcheck cannot be negative')
}

/** Ports are checked with the configuration: it may ask for all that are exposed. */
export function checkHostConfig(host: HostConfig, config: Config): void {
  checkLimits(host)
  checkRestart(host.RestartPolicy, host.AutoRemove)
  if (host.OomScoreAdj < -1000 || host.OomScoreAdj > 1000)
    throw badRequest(`Invalid value ${host.OomScoreAdj}, range for oom score adj is [-1000, 1000]`)
  if ((host.DeviceRequests?.length ?? 0) > 0)
    throw notImplemented('device requests (--gpus) are not implemented: name the devices by --device')
  if (host.ShmSize < 0) throw badRequest('SHM size can not be less than 0')
  for (const entry of host.ExtraHosts ?? [])
    if (!/^[^:=]+[:=].+$/.test(entry)) throw badRequest(`bad format for add-host: "${entry}"`)
  for (const port of Object.keys(host.PortBindings ?? {}))
    if (!/^\d+(-\d+)?(\/(tcp|udp|sctp))?$/i.test(port)) throw badRequest(`invalid port specification: "${port}"`)
  publishedPorts(config, host)
}

/** Shared by create and update. */
export function checkRestart(policy: RestartPolicy | undefined, autoRemove: boolean): void {
  if (!policy) return
  const { Name, MaximumRetryCount } = policy
  if (!['', 'no', 'always', 'on-failure', 'unless-stopped'].includes(Name))
    throw badRequest(
      `invalid restart policy: unknown policy '${Name}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'`,
    )
  if (MaximumRetryCount < 0) throw badRequest('invalid restart policy: maximum retry count cannot be negative')
  if (MaximumRetryCount > 0 && Name !== 'on-failure')
    throw badRequest("invalid restart policy: maximum retry count can only be used with 'on-failure'")
  if (autoRemove && Name !== '' && Name !== 'no')
    throw badRequest("can't create 'AutoRemove' container with restart policy")
}

/** Shared by create and update. */
export function checkLimits(host: Pick<HostConfig, LimitName>): void {
  const { Memory, MemorySwap, MemoryReservation, MemorySwappiness } = host
  if (Memory !== 0 && Memory < leastMemoryBytes) throw badRequest('Minimum memory limit allowed is 6MB')
  if (Memory > 0 && MemorySwap > 0 && MemorySwap < Memory)
    throw badRequest('Minimum memoryswap limit should be larger than memory limit, see usage')
  if (Memory === 0 && MemorySwap > 0)
    throw badRequest('You should always set the Memory limit when using Memoryswap limit, see usage')
  if (MemorySwappiness !== undefined && (MemorySwappiness < -1 || MemorySwappiness > 100))
    throw badRequest(`Invalid value: ${MemorySwappiness}, valid memory swappiness range is 0-100`)
  if (Memory > 0 && MemoryReservation > 0 && Memory < MemoryReservation)
    throw badRequest('Minimum memory limit can not be less than memory reservation limit, see usage')
  if (MemoryReservation > 0 && MemoryReservation < leastMemoryBytes)
    throw badRequest('Minimum memory reservation allowed is 6MB')
  checkCpu(host)
}

type LimitName =
  | 'Memory'
  | 'MemorySwap'
  | 'MemoryReservation'
  | 'MemorySwappiness'
  | 'NanoCpus'
  | 'CpuPeriod'
  | 'CpuQuota'
  | 'CpusetCpus'
  | 'CpusetMems'
  | 'BlkioWeight'

function checkCpu({ NanoCpus, CpuPeriod, CpuQuota, CpusetCpus, CpusetMems, BlkioWeight }: Pick<HostConfig, LimitName>) {
  if (NanoCpus > 0 && CpuPeriod > 0)
    throw badRequest('Conflicting options: Nano CPUs and CPU Period cannot both be set')
  if (NanoCpus > 0 && CpuQuota > 0) throw badRequest('Conflicting options: Nano CPUs and CPU Quota cannot both be set')
  const cpus = availableParallelism()
  if (NanoCpus < 0 || NanoCpus > cpus * 1e9)
    throw badRequest(`Range of CPUs is from 0.01 to ${cpus}.00, as there are only ${cpus} CPUs available`)
  if (CpuPeriod !== 0 && (CpuPeriod < 1000 || CpuPeriod > 1_000_000))
    throw badRequest('CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)')
  if (CpuQuota > 0 && CpuQuota < 1000) throw badRequest('CPU cfs quota can not be less than 1ms (i.e. 1000)')
  for (const [name, value] of Object.entries({ cpus: CpusetCpus, mems: CpusetMems }))
    if (!/^(\d+(-\d+)?(,\d+(-\d+)?)*)?$/.test(value))
      throw badRequest(`Invalid value ${value} for cpuset ${name}: invalid format: ${value}`)
  if (BlkioWeight !== 0 && (BlkioWeight < 10 || BlkioWeight > 1000))
    throw badRequest('Range of blkio weight is from 10 to 1000')
}
