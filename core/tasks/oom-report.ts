/** What can be told of a container that ran out of memory, gathered when its shim says so. */
import { closeSync, constants, openSync, readSync } from 'node:fs'
import { readLog } from '#api/container-log/log-reader.ts'
import type { OomReport } from '#api/gen/gantry/services/containers/v1/containers.ts'
import type { Any } from '#api/gen/google/protobuf/any.ts'
import { Metrics as MetricsV1 } from '#api/gen/io/containerd/cgroups/v1/metrics.ts'
import { Metrics as MetricsV2 } from '#api/gen/io/containerd/cgroups/v2/metrics.ts'
import type { RunningTask } from './running-task.ts'

const lastLines = 10
const maxLineCharacters = 1024
const statsMs = 1000
/** The kernel's longest record. */
const recordBytes = 8192
/** Of records that are looked through; a kernel keeps some thousand. */
const maxRecords = 100_000

/** Never throws: what cannot be found out is left open. */
export async function gatherOomReport(task: Pick<RunningTask, 'id' | 'shim'>, logFile: string): Promise<OomReport> {
  const [memory, lines] = await Promise.all([memoryOf(task).catch(() => noFigures), tailOf(logFile).catch(() => [])])
  return { ...memory, ...killedIn(kernelRecords(), task.id), lastLines: lines }
}

const noFigures = { peakBytes: 0n, limitBytes: 0n }

async function memoryOf({ id, shim }: Pick<RunningTask, 'id' | 'shim'>): Promise<typeof noFigures> {
  const { stats } = await shim.stats({ id }, { deadlineMs: statsMs })
  return stats ? figuresOf(stats) : noFigures
}

function figuresOf({ typeUrl, value }: Any): typeof noFigures {
  if (typeUrl.endsWith('v2.Metrics')) {
    const { maxUsage = 0n, usageLimit = 0n } = MetricsV2.decode(value).memory ?? {}
    return { peakBytes: maxUsage, limitBytes: usageLimit }
  }
  const { max = 0n, limit = 0n } = MetricsV1.decode(value).memory?.usage ?? {}
  return { peakBytes: max, limitBytes: limit }
}

async function tailOf(logFile: string): Promise<string[]> {
  const wish = { tail: lastLines, since: undefined, until: undefined, ended: undefined }
  const texts: string[] = []
  for await (const lines of readLog(logFile, { ...wish, signal: AbortSignal.timeout(statsMs) }))
    texts.push(...lines.map(({ text }) => text.replace(/\n$/, '').slice(0, maxLineCharacters)))
  return texts.slice(-lastLines)
}

/**
 * The last process that the kernel says it killed in a cgroup of the container (mm/oom_kill.c: `oom-kill:…,task_memcg=
 * …,task=NAME,pid=PID,uid=UID`). Zero and empty: the kernel's log does not tell, or is not ours to read.
 */
export function killedIn(records: readonly string[], id: string): { killedPid: number; killedName: string } {
  const about = records.findLast(record => record.includes('oom-kill:') && isOf(record, id)) ?? ''
  const [, killedName = '', pid = '0'] = /,task=(.*),pid=(\d+),uid=\d+/.exec(about) ?? []
  return { killedPid: Number(pid), killedName }
}

/** A cgroup is named by the container's id, whichever driver made it. */
function isOf(record: string, id: string): boolean {
  const [, cgroup = ''] = /,task_memcg=([^,]*)/.exec(record) ?? []
  return `${cgroup}/`.includes(`/${id}/`) || cgroup.includes(`-${id}.scope`)
}

/** The kernel's log, oldest first; reading it waits for nothing (Documentation/ABI/testing/dev-kmsg). */
function kernelRecords(): string[] {
  const records: string[] = []
  try {
    const fd = openSync('/dev/kmsg', constants.O_RDONLY | constants.O_NONBLOCK)
    try {
      readAll(fd, records)
    } finally {
      closeSync(fd)
    }
  } catch {
    // A host that keeps it from us.
  }
  return records
}

/** A read is a record; EPIPE: the next one was overwritten meanwhile; EAGAIN: that was all. */
function readAll(fd: number, records: string[]): void {
  const buffer = Buffer.alloc(recordBytes)
  for (let count = 0; count < maxRecords; count++) {
    try {
      const text = buffer.toString('utf8', 0, readSync(fd, buffer))
      if (text.includes('oom-kill:')) records.push(text)
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'EPIPE') continue
      return
    }
  }
}
