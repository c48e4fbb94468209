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
  /** Calls in a row without an answer that open the breaker. */
  readonly breakerThreshold: number
  /** Between two questions whether a plugin with an open breaker answers again; an answer may take as long. */
  readonly breakerProbeMs: number
  /** How long a change of process waits for the calls under way. */
  readonly drainMs: number
  /** The same while the new process waits for the root; below its own patience (8 s in the SDK). */
  readonly drainEarlyMs: number
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
  breakerThreshold: 3,
  breakerProbeMs: 1_000,
  drainMs: 60_000,
  drainEarlyMs: 4_000,
}

/** Delay before the next start after so many failures in a row (1 is the first). */
export function backOffAfter(failures: number, { backOffMs, backOffCapMs }: Timing): number {
  return Math.min(backOffMs * 2 ** Math.max(0, failures - 1), backOffCapMs)
}
