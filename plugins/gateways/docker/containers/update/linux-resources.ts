/** Docker's limits as the `resources` of the OCI runtime spec, for a running container. */
import type { HostConfig } from '../create/body.ts'

export function linuxResources(host: HostConfig): object {
  const quota = host.NanoCpus > 0 ? Math.round(host.NanoCpus / 10_000) : host.CpuQuota
  const period = host.NanoCpus > 0 ? 100_000 : host.CpuPeriod
  const swap = host.MemorySwap !== 0 ? host.MemorySwap : host.Memory > 0 ? host.Memory * 2 : 0
  return {
    memory: {
      ...(host.Memory > 0 && { limit: host.Memory }),
      ...(host.MemoryReservation > 0 && { reservation: host.MemoryReservation }),
      ...(swap !== 0 && { swap }),
    },
    cpu: {
      ...(host.CpuShares > 0 && { shares: host.CpuShares }),
      ...(quota !== 0 && { quota }),
      ...(period > 0 && { period }),
      ...(host.CpusetCpus && { cpus: host.CpusetCpus }),
      ...(host.CpusetMems && { mems: host.CpusetMems }),
    },
    ...(host.PidsLimit !== undefined && host.PidsLimit !== 0 && { pids: { limit: host.PidsLimit } }),
    ...(host.BlkioWeight > 0 && { blockIO: { weight: host.BlkioWeight } }),
  }
}
