/** A part of `npm test`, and what it counts. */

export interface Tally {
  passed: number
  /** A line each, enough to find the test. */
  failed: string[]
  skipped: number
}

export type Lane = () => Promise<Tally>

export function total(tallies: readonly Tally[]): Tally {
  return {
    passed: tallies.reduce((sum, tally) => sum + tally.passed, 0),
    failed: tallies.flatMap(tally => tally.failed),
    skipped: tallies.reduce((sum, tally) => sum + tally.skipped, 0),
  }
}
