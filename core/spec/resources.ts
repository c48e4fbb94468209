/** Limits: what was asked for, checked, in the runtime spec's form (config-linux.md, Control groups). */
import { invalidArgument } from '#api/errors/errors.ts'
import type { DeviceRule, SpecResources } from './runtime-spec.ts'

export interface ResourceWish {
  memoryBytes: bigint
  memorySwapBytes: bigint
  memoryReservationBytes: bigint
  nanoCpus: bigint
  cpuShares: bigint
  cpuQuotaUs: bigint
  cpuPeriodUs: bigint
  cpusetCpus: string
  cpusetMems: string
  pidsLimit: bigint
  oomKillDisable: boolean
  memorySwappiness?: bigint | undefined
}

/** Docker's least: below it no container gets as far as its own code. */
const leastMemoryBytes = 6n * 1024n * 1024n
const periodUs = 100_000n

export interface ResourceHost {
  cpus: number
  /** cgroup v2 alone: some of v1's knobs do not exist. */
  unified: boolean
}

/** INVALID_ARGUMENT names the field, its value and what would do. */
export function composeResources(
  wish: ResourceWish | undefined,
  devices: DeviceRule[],
  host: ResourceHost,
): { resources: SpecResources; warnings: string[] } {
  if (!wish) return { resources: { devices }, warnings: [] }
  const warnings: string[] = []
  if (wish.oomKillDisable && host.unified) warnings.push('oom_kill_disable does not exist on cgroup v2: left out')
  const memory = composeMemory(wish, host)
  const cpu = composeCpu(wish, host)
  if (wish.memorySwappiness !== undefined && host.unified)
    warnings.push('memory_swappiness does not exist on cgroup v2: left out')
  const resources: SpecResources = {
    devices,
    ...(Object.keys(memory).length > 0 && { memory }),
    ...(Object.keys(cpu).length > 0 && { cpu }),
    ...(wish.pidsLimit > 0n && { pids: { limit: Number(wish.pidsLimit) } }),
  }
  return { resources, warnings }
}

function composeMemory(wish: ResourceWish, host: ResourceHost): NonNullable<SpecResources['memory']> {
  const { memoryBytes, memorySwapBytes, memoryReservationBytes } = wish
  if (memoryBytes < 0n || (memoryBytes > 0n && memoryBytes < leastMemoryBytes))
    throw invalidArgument(`memory_bytes ${memoryBytes} is below the least of ${leastMemoryBytes} (6 MiB)`)
  if (memorySwapBytes > 0n && memoryBytes === 0n)
    throw invalidArgument('memory_swap_bytes needs memory_bytes: it counts memory and swap together')
  if (memorySwapBytes > 0n && memorySwapBytes < memoryBytes)
    throw invalidArgument(
      `memory_swap_bytes ${memorySwapBytes} is below memory_bytes ${memoryBytes}: it counts both together`,
    )
  if (memoryReservationBytes > 0n && memoryBytes > 0n && memoryReservationBytes > memoryBytes)
    throw invalidArgument(`memory_reservation_bytes ${memoryReservationBytes} is above memory_bytes ${memoryBytes}`)
  // As Docker: a limit on memory alone means the same again of swap.
  const swap = memoryBytes > 0n && memorySwapBytes === 0n ? memoryBytes * 2n : memorySwapBytes
  return {
    ...(memoryBytes > 0n && { limit: Number(memoryBytes) }),
    ...(memoryReservationBytes > 0n && { reservation: Number(memoryReservationBytes) }),
    ...(swap !== 0n && { swap: Number(swap) }),
    ...(wish.memorySwappiness !== undefined && !host.unified && { swappiness: Number(wish.memorySwappiness) }),
    ...(wish.oomKillDisable && !host.unified && { disableOOMKiller: true }),
  }
}

function composeCpu(wish: ResourceWish, host: ResourceHost): NonNullable<SpecResources['cpu']> {
  if (wish.nanoCpus !== 0n && (wish.cpuQuotaUs !== 0n || wish.cpuPeriodUs !== 0n))
    throw invalidArgument('nano_cpus and cpu_quota_us/cpu_period_us say the same thing: give one of them')
  if (wish.nanoCpus < 0n || wish.nanoCpus > BigInt(host.cpus) * 1_000_000_000n)
    throw invalidArgument(`nano_cpus ${wish.nanoCpus} is not between 0.01 and ${host.cpus} CPUs, what this host has`)
  const quota = wish.nanoCpus > 0n ? (wish.nanoCpus * periodUs) / 1_000_000_000n : wish.cpuQuotaUs
  const period = wish.nanoCpus > 0n ? periodUs : wish.cpuPeriodUs
  if (quota > 0n && quota < 1000n)
    throw invalidArgument(`a CPU quota of ${quota} µs is below the kernel's least of 1000 µs`)
  return {
    ...(wish.cpuShares > 0n && { shares: Number(wish.cpuShares) }),
    ...(quota !== 0n && { quota: Number(quota) }),
    ...(period > 0n && { period: Number(period) }),
    ...(wish.cpusetCpus && { cpus: wish.cpusetCpus }),
    ...(wish.cpusetMems && { mems: wish.cpusetMems }),
  }
}
