/** What many measurements of one thing come to. */

export interface Figures {
  readonly median: number
  readonly p95: number
  readonly p99: number
  readonly best: number
  /** Half of the distance between the quartiles, as a part of the median. */
  readonly spread: number
  readonly count: number
}

/** Of at least one value. `better`: which end `best` is at. */
export function figuresOf(values: readonly number[], better: 'less' | 'more' = 'less'): Figures {
  const sorted = values.toSorted((a, b) => (better === 'less' ? a - b : b - a))
  const at = (part: number) => sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? Number.NaN
  const median = medianOf(values)
  return {
    ...{ median, p95: at(0.95), p99: at(0.99), best: at(0) },
    spread: median === 0 ? 0 : Math.abs(at(0.75) - at(0.25)) / 2 / median,
    count: values.length,
  }
}

export function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2
}

/**
 * How likely it is that of `rounds` fair coins at least `losses` show tails: the sign test. Rounds of two contestants that are
 * equally fast are such coins, whatever the machine does meanwhile.
 */
export function chanceOf(losses: number, rounds: number): number {
  let sum = 0
  let ways = 1
  for (let heads = 0; heads <= rounds - losses; heads++) {
    sum += ways
    ways = (ways * (rounds - heads)) / (heads + 1)
  }
  return sum / 2 ** rounds
}
