/** A container's health as Docker writes it. */
import type { Health as CoreHealth } from '#api/gen/gantry/health/v1/health.ts'
import type { Health } from '../containers/record.ts'
import { timeText } from '../containers/times.ts'

export function healthJson({ status, failingStreak, log }: CoreHealth): Health {
  return {
    Status: status as Health['Status'],
    FailingStreak: failingStreak,
    Log: log.map(({ startedAt, endedAt, exitCode, output }) => ({
      Start: timeText(startedAt),
      End: timeText(endedAt),
      ExitCode: exitCode,
      Output: output,
    })),
  }
}
