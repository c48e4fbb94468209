/** All the supervisor's patience in one place; milliseconds. */
export interface Timing {
  /** From spawn to a passed health check. */
  readonly startMs: number
  /** Delay before the first restart; doubles with each failure in a row. */
  readonly backOffMs: number
  readonly backOffCapMs: number
  /** So many failures in a row and nothing is restarted unasked. */
  readonly maxFailures: number
  /** A process that was ready this long has no past. */
  readonly healthyMs: number
  /** The longest back-off a call waits out; with more to go it fails. */
  readonly callWaitMs: number
  /** Between two health checks of a ready process. */
  readonly checkEveryMs: number
  /** An answer slower than this is a missed check; the second in a row ends the process. */
  readonly checkMs: number
  /** From SIGTERM to SIGKILL for one plugin. */
  readonly stopMs: number
  /** The same for all of them together. */
  readonly stopAllMs: number
}

export const defaultTiming: Timing = {
  startMs: 10_000,
  backOffMs: 100,
  backOffCapMs: 30_000,
  maxFailures: 6,
  healthyMs: 60_000,
  callWaitMs: 2_000,
  checkEveryMs: 15_000,
  checkMs: 10_000,
  stopMs: 6_000,
  stopAllMs: 9_000,
}

/** Delay before the next start after so many failures in a row (1 is the first). */
export function backOffAfter(failures: number, { backOffMs, backOffCapMs }: Timing): number {
  return Math.min(backOffMs * 2 ** Math.max(0, failures - 1), backOffCapMs)
}
