/** Docker's back-off between restarts: 100 ms, doubled each time up to a minute; a run of ten seconds begins it anew. */
const firstMs = 100
const longestMs = 60_000
const steadyMs = 10_000

/** The wait before the next restart. `previousMs`: the wait before the run that has ended; undefined: it was none. */
export function nextWaitMs(previousMs: number | undefined, ranMs: number): number {
  if (previousMs === undefined || ranMs >= steadyMs) return firstMs
  return Math.min(previousMs * 2, longestMs)
}
