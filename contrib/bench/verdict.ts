/** What a row's figures say: against the best peer, and against the budget. */
import type { Outcome, Score } from './contest.ts'
import { chanceOf } from './figures.ts'

export interface Verdict {
  readonly ours?: Score
  /** The best of the peers. */
  readonly peer?: Score
  /** How many times better than that peer we are; below 1 is worse. */
  readonly ratio?: number
  /** Worse than the best peer, and not by chance. */
  readonly loses: boolean
  /** Parts of the budget that do not hold, in words. Undefined: the row has no budget, or we have no figure. */
  readonly missed?: readonly string[]
}

/** Below this, losing so often by chance is not believed. */
const doubt = 0.01

export function judge(outcome: Outcome): Verdict {
  const { row, scores } = outcome
  const ours = scores.find(({ name }) => name === 'gantry')
  if (ours === undefined) return { loses: false }
  const sign = row.better === 'more' ? -1 : 1
  const [peer] = scores
    .filter(({ name }) => !name.startsWith('gantry') && name !== 'floor')
    .toSorted((a, b) => sign * (a.figures.median - b.figures.median))
  const ratio = peer === undefined ? undefined : timesBetter(ours.figures.median, peer.figures.median, row.better)
  return {
    ours,
    ...(peer === undefined ? {} : { peer }),
    ...(ratio === undefined ? {} : { ratio }),
    loses: ratio !== undefined && peer !== undefined && ratio < 1 && isNoChance(ours, peer, row.better),
    ...(row.budget === undefined ? {} : { missed: missedOf(outcome, ours, ratio) }),
  }
}

function timesBetter(ours: number, theirs: number, better: 'less' | 'more' = 'less'): number {
  return better === 'less' ? theirs / ours : ours / theirs
}

/** Rounds stand beside each other: the sign test over pairs. */
function isNoChance(ours: Score, peer: Score, better: 'less' | 'more' = 'less'): boolean {
  const rounds = Math.min(ours.values.length, peer.values.length)
  const worse = (a: number, b: number) => (better === 'less' ? a > b : a < b)
  const losses = ours.values.slice(0, rounds).filter((value, at) => worse(value, peer.values[at] ?? value)).length
  return chanceOf(losses, rounds) < doubt
}

function missedOf({ row }: Outcome, ours: Score, ratio: number | undefined): string[] {
  const { times, atMost, cpuMs, grownMib } = row.budget ?? {}
  const missed: string[] = []
  if (times !== undefined && ratio !== undefined && ratio < times) missed.push(`${ratio.toFixed(2)}x of ${times}x`)
  if (atMost !== undefined && ours.figures.median > atMost)
    missed.push(`${ours.figures.median.toFixed(1)} of ${atMost} ${row.unit ?? 'ms'}`)
  if (cpuMs !== undefined && (ours.cpuMs ?? 0) > cpuMs) missed.push(`${ours.cpuMs?.toFixed(1)} of ${cpuMs} ms CPU`)
  if (grownMib !== undefined && (ours.grownMib ?? 0) > grownMib)
    missed.push(`grown by ${ours.grownMib?.toFixed(0)} of ${grownMib} MiB`)
  return missed
}
