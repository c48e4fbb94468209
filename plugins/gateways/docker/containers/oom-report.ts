/** What is told of a container that ran out of memory, beyond Docker's `OOMKilled`. */
import type { OomReport } from '#api/gen/gantry/services/containers/v1/containers.ts'

/** `State.OOMReport` of inspect. */
export function oomReportJson({ peakBytes, limitBytes, killedPid, killedName, lastLines }: OomReport): object {
  return {
    PeakBytes: Number(peakBytes),
    LimitBytes: Number(limitBytes),
    KilledPid: killedPid,
    KilledName: killedName,
    LastLines: lastLines,
  }
}

/** Attributes of the event `oom`. */
export function oomAttributes({ peakBytes, killedPid, killedName, lastLines }: OomReport): Record<string, string> {
  return {
    peakBytes: String(peakBytes),
    ...(killedPid !== 0 && { killedPid: String(killedPid), killedName }),
    lastLines: lastLines.join('\n'),
  }
}
