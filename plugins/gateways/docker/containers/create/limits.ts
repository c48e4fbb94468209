/** Docker's limits as the core takes them. */
import type { Resources } from '#api/gen/gantry/services/containers/v1/containers.ts'
import type { Input } from '#api/rpc/definition.ts'
import type { HostConfig } from './body.ts'

const limits = (wishes: { Path: string; Rate: number }[] | null) =>
  (wishes ?? []).map(({ Path, Rate }) => ({ path: Path, value: BigInt(Rate) }))

export function resources(host: HostConfig): Input<Resources> {
  return {
    memoryBytes: BigInt(host.Memory),
    memorySwapBytes: BigInt(host.MemorySwap),
    memoryReservationBytes: BigInt(host.MemoryReservation),
    nanoCpus: BigInt(host.NanoCpus),
    cpuShares: BigInt(Math.max(0, host.CpuShares)),
    cpuQuotaUs: BigInt(host.CpuQuota),
    cpuPeriodUs: BigInt(host.CpuPeriod),
    cpusetCpus: host.CpusetCpus,
    cpusetMems: host.CpusetMems,
    pidsLimit: BigInt(Math.max(0, host.PidsLimit ?? 0)),
    blkioWeight: host.BlkioWeight,
    oomKillDisable: host.OomKillDisable ?? false,
    ...(host.MemorySwappiness !== undefined &&
      host.MemorySwappiness >= 0 && { memorySwappiness: BigInt(host.MemorySwappiness) }),
    blkioWeightDevices: (host.BlkioWeightDevice ?? []).map(({ Path, Weight }) => ({
      path: Path,
      value: BigInt(Weight),
    })),
    readBps: limits(host.BlkioDeviceReadBps),
    writeBps: limits(host.BlkioDeviceWriteBps),
    readIops: limits(host.BlkioDeviceReadIOps),
    writeIops: limits(host.BlkioDeviceWriteIOps),
    cpuRealtimeRuntimeUs: BigInt(host.CpuRealtimeRuntime),
    cpuRealtimePeriodUs: BigInt(Math.max(0, host.CpuRealtimePeriod)),
  }
}
