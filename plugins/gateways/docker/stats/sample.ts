/** One sample of a container's use of the machine, in the form of `docker stats`. */
import { readFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import type { Any } from '#api/gen/google/protobuf/any.ts'
import { Metrics as MetricsV1 } from '#api/gen/io/containerd/cgroups/v1/metrics.ts'
import { Metrics as MetricsV2 } from '#api/gen/io/containerd/cgroups/v2/metrics.ts'

export interface CpuSample {
  cpu_usage: { total_usage: number; percpu_usage?: number[]; usage_in_kernelmode: number; usage_in_usermode: number }
  /** Both are left out of the sample of a container that does not run. */
  system_cpu_usage?: number
  online_cpus?: number
  throttling_data: { periods: number; throttled_periods: number; throttled_time: number }
}

export interface Sample {
  pids_stats: { current?: number; limit?: number }
  blkio_stats: Record<string, BlkioEntry[] | null>
  num_procs: number
  storage_stats: object
  cpu_stats: CpuSample
  memory_stats: { usage?: number; max_usage?: number; stats?: Record<string, number>; failcnt?: number; limit?: number }
  networks?: Record<string, NetworkSample>
}

interface BlkioEntry {
  major: number
  minor: number
  op: string
  value: number
}

interface NetworkSample {
  rx_bytes: number
  rx_packets: number
  rx_errors: number
  rx_dropped: number
  tx_bytes: number
  tx_packets: number
  tx_errors: number
  tx_dropped: number
}

/** `pid`: of a process in the container's network namespace; 0: it has none of its own. */
export async function takeSample(data: Any, pid: number): Promise<Sample> {
  const [system, memoryTotal, networks] = await Promise.all([systemCpu(), totalMemory(), networkCounters(pid)])
  const rest = { num_procs: 0, storage_stats: {}, ...(networks && { networks }) }
  return data.typeUrl.includes('v2')
    ? { ...rest, ...fromV2(MetricsV2.decode(data.value), system, memoryTotal) }
    : { ...rest, ...fromV1(MetricsV1.decode(data.value), system, memoryTotal) }
}

/** What a container that does not run shows. */
export const emptySample: Sample = {
  pids_stats: {},
  blkio_stats: blkio(null),
  num_procs: 0,
  storage_stats: {},
  cpu_stats: {
    cpu_usage: { total_usage: 0, usage_in_kernelmode: 0, usage_in_usermode: 0 },
    throttling_data: { periods: 0, throttled_periods: 0, throttled_time: 0 },
  },
  memory_stats: {},
}

type Partial1 = Pick<Sample, 'pids_stats' | 'blkio_stats' | 'cpu_stats' | 'memory_stats'>

function fromV1(metrics: MetricsV1, system: number, memoryTotal: number): Partial1 {
  const { pids, cpu, memory, blkio: io } = metrics
  const limit = Number(memory?.usage?.limit ?? 0n)
  const entries = (list: { major: bigint; minor: bigint; op: string; value: bigint }[] | undefined) =>
    (list ?? []).map(({ major, minor, op, value }) => ({
      major: Number(major),
      minor: Number(minor),
      op,
      value: Number(value),
    }))
  return {
    pids_stats: { current: Number(pids?.current ?? 0n), ...(pids?.limit && { limit: Number(pids.limit) }) },
    blkio_stats: {
      ...blkio([]),
      io_service_bytes_recursive: entries(io?.ioServiceBytesRecursive),
      io_serviced_recursive: entries(io?.ioServicedRecursive),
    },
    cpu_stats: {
      cpu_usage: {
        total_usage: Number(cpu?.usage?.total ?? 0n),
        percpu_usage: (cpu?.usage?.perCpu ?? []).map(Number),
        usage_in_kernelmode: Number(cpu?.usage?.kernel ?? 0n),
        usage_in_usermode: Number(cpu?.usage?.user ?? 0n),
      },
      ...throttled(system, cpu?.throttling?.periods, cpu?.throttling?.throttledPeriods, cpu?.throttling?.throttledTime),
    },
    memory_stats: {
      usage: Number(memory?.usage?.usage ?? 0n),
      max_usage: Number(memory?.usage?.max ?? 0n),
      stats: figures(memory ?? {}),
      failcnt: Number(memory?.usage?.failcnt ?? 0n),
      limit: limit > 0 ? Math.min(limit, memoryTotal) : memoryTotal,
    },
  }
}

function fromV2(metrics: MetricsV2, system: number, memoryTotal: number): Partial1 {
  const { pids, cpu, memory, io } = metrics
  const limit = Number(memory?.usageLimit ?? 0n)
  const micro = (value: bigint | undefined) => Number(value ?? 0n) * 1000
  return {
    pids_stats: { current: Number(pids?.current ?? 0n), ...(pids?.limit && { limit: Number(pids.limit) }) },
    blkio_stats: {
      ...blkio(null),
      io_service_bytes_recursive: (io?.usage ?? []).flatMap(({ major, minor, rbytes, wbytes }) => [
        { major: Number(major), minor: Number(minor), op: 'read', value: Number(rbytes) },
        { major: Number(major), minor: Number(minor), op: 'write', value: Number(wbytes) },
      ]),
    },
    cpu_stats: {
      cpu_usage: {
        total_usage: micro(cpu?.usageUsec),
        usage_in_kernelmode: micro(cpu?.systemUsec),
        usage_in_usermode: micro(cpu?.userUsec),
      },
      ...throttled(system, cpu?.nrPeriods, cpu?.nrThrottled, cpu && cpu.throttledUsec * 1000n),
    },
    memory_stats: {
      usage: Number(memory?.usage ?? 0n),
      stats: figures(memory ?? {}),
      limit: limit > 0 ? Math.min(limit, memoryTotal) : memoryTotal,
    },
  }
}

function throttled(system: number, periods = 0n, throttledPeriods = 0n, time = 0n) {
  return {
    system_cpu_usage: system,
    online_cpus: availableParallelism(),
    throttling_data: {
      periods: Number(periods),
      throttled_periods: Number(throttledPeriods),
      throttled_time: Number(time),
    },
  }
}

function blkio(value: BlkioEntry[] | null): Record<string, BlkioEntry[] | null> {
  const names = ['service_bytes', 'serviced', 'queue', 'service_time', 'wait_time', 'merged', 'time']
  return { ...Object.fromEntries(names.map(name => [`io_${name}_recursive`, value])), sectors_recursive: value }
}

/** The kernel writes these without a mark between words (memory.stat). */
const joined: Readonly<Record<string, string>> = {
  pg_fault: 'pgfault',
  pg_maj_fault: 'pgmajfault',
  pg_pg_in: 'pgpgin',
  pg_pg_out: 'pgpgout',
  hierarchical_swap_limit: 'hierarchical_memsw_limit',
}

/** As the kernel names them: `totalInactiveFile` is `total_inactive_file`. */
function figures(memory: object): Record<string, number> {
  return Object.fromEntries(
    Object.entries(memory)
      .filter(([, value]) => typeof value === 'bigint')
      .map(([name, value]) => [kernelName(name), Number(value)]),
  )
}

function kernelName(name: string): string {
  const words = name.replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)
  const [, total = '', rest = ''] = /^(total_)?(.*)$/.exec(words) ?? []
  return `${total}${joined[rest] ?? rest}`
}

const ticksPerSecond = 100

/** Nanoseconds of processor time that the whole machine has seen (proc_stat(5)). */
async function systemCpu(): Promise<number> {
  const [line = ''] = (await readFile('/proc/stat', 'utf8')).split('\n', 1)
  const ticks = line.split(/\s+/).slice(1, 8).map(Number)
  return ticks.reduce((sum, value) => sum + value, 0) * (1e9 / ticksPerSecond)
}

async function totalMemory(): Promise<number> {
  const [, kib = '0'] = /^MemTotal:\s*(\d+)/m.exec(await readFile('/proc/meminfo', 'utf8')) ?? []
  return Number(kib) * 1024
}

/** By interface (proc_pid_net(5), dev); undefined without a namespace of its own. */
async function networkCounters(pid: number): Promise<Record<string, NetworkSample> | undefined> {
  if (pid === 0) return undefined
  const text = await readFile(`/proc/${pid}/net/dev`, 'utf8').catch(() => '')
  const rows = text
    .split('\n')
    .slice(2)
    .map(line => line.trim().split(/[:\s]+/))
  const interfaces = rows.filter(([name = '']) => name !== '' && name !== 'lo')
  if (interfaces.length === 0) return undefined
  return Object.fromEntries(
    interfaces.map(([name = '', ...counters]) => {
      const [rxBytes, rxPackets, rxErrors, rxDropped, , , , , txBytes, txPackets, txErrors, txDropped] =
        counters.map(Number)
      return [
        name,
        {
          ...{
            rx_bytes: rxBytes ?? 0,
            rx_packets: rxPackets ?? 0,
            rx_errors: rxErrors ?? 0,
            rx_dropped: rxDropped ?? 0,
          },
          ...{
            tx_bytes: txBytes ?? 0,
            tx_packets: txPackets ?? 0,
            tx_errors: txErrors ?? 0,
            tx_dropped: txDropped ?? 0,
          },
        },
      ]
    }),
  )
}
