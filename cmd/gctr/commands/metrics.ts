/** `tasks metrics`: what a container uses, as its cgroup tells. */

import { notFound } from '#api/errors/errors.ts'
import { TasksDefinition } from '#api/gen/containerd/services/tasks/v1/tasks.ts'
import { Metrics as MetricsV1 } from '#api/gen/io/containerd/cgroups/v1/metrics.ts'
import { Metrics as MetricsV2 } from '#api/gen/io/containerd/cgroups/v2/metrics.ts'
import { printJson } from '../output/json.ts'
import { printRecords } from '../output/table.ts'
import { formatBytes } from '../output/units.ts'
import type { Session } from '../session.ts'

export async function metrics(session: Session, _flags: unknown, id: string): Promise<void> {
  const { metrics } = await session.client(TasksDefinition).metrics({ filters: [`id==${id}`] })
  const data = metrics.find(metric => metric.id === id)?.data
  if (data === undefined) throw notFound(`metrics of task "${id}" (is it running?)`)
  const isV1 = data.typeUrl.endsWith('v1.Metrics')
  const decoded = isV1 ? MetricsV1.decode(data.value) : MetricsV2.decode(data.value)
  if (session.json) return printJson({ id, version: isV1 ? 1 : 2, ...decoded })
  printRecords(
    isV1 ? rowsV1(decoded as MetricsV1) : rowsV2(decoded as MetricsV2),
    { METRIC: ([name]) => name, VALUE: ([, value]) => value },
    false,
  )
}

type Row = [name: string, value: string | number]

function rowsV1({ cpu, memory, pids }: MetricsV1): Row[] {
  return [
    ['cpu.usage', milliseconds((cpu?.usage?.total ?? 0n) / 1000n)],
    ['memory.usage', formatBytes(memory?.usage?.usage ?? 0n)],
    ['memory.peak', formatBytes(memory?.usage?.max ?? 0n)],
    ['memory.limit', formatLimit(memory?.usage?.limit ?? 0n)],
    ['pids', `${pids?.current ?? 0n}`],
  ]
}

function rowsV2({ cpu, memory, pids }: MetricsV2): Row[] {
  return [
    ['cpu.usage', milliseconds(cpu?.usageUsec ?? 0n)],
    ['memory.usage', formatBytes(memory?.usage ?? 0n)],
    ['memory.peak', formatBytes(memory?.maxUsage ?? 0n)],
    ['memory.limit', formatLimit(memory?.usageLimit ?? 0n)],
    ['pids', `${pids?.current ?? 0n}`],
  ]
}

const milliseconds = (microseconds: bigint) => `${Number(microseconds) / 1000} ms`
/** The kernel writes "no limit" as a number near 2^63 or 2^64. */
const formatLimit = (bytes: bigint) => (bytes >= 1n << 62n ? 'none' : formatBytes(bytes))
