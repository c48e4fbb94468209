/** Stretches of time, in nanoseconds. */
export interface Stretch {
  readonly startNs: bigint
  readonly endNs: bigint
}

/** Math.max knows no bigint. */
export function later(a: bigint, b: bigint): bigint {
  if (a > b) return a
  return b
}

/** Math.min neither. */
export function earlier(a: bigint, b: bigint): bigint {
  if (a < b) return a
  return b
}

/** Sorted, without overlaps, cut to `bounds`. */
export function united(stretches: readonly Stretch[], bounds: Stretch): Stretch[] {
  const result: { startNs: bigint; endNs: bigint }[] = []
  for (const stretch of stretches.toSorted((a, b) => Number(a.startNs - b.startNs))) {
    const startNs = later(stretch.startNs, bounds.startNs)
    const endNs = earlier(stretch.endNs, bounds.endNs)
    const last = result.at(-1)
    if (endNs <= startNs) continue
    if (last === undefined || startNs > last.endNs) result.push({ startNs, endNs })
    else last.endNs = later(last.endNs, endNs)
  }
  return result
}

/** What of `bounds` the stretches leave; they are sorted and do not overlap. */
export function between(stretches: readonly Stretch[], bounds: Stretch): Stretch[] {
  const starts = [bounds.startNs, ...stretches.map(({ endNs }) => endNs)]
  const ends = [...stretches.map(({ startNs }) => startNs), bounds.endNs]
  return starts
    .map((startNs, index) => ({ startNs, endNs: ends[index] ?? startNs }))
    .filter(({ startNs, endNs }) => endNs > startNs)
}

/** Of stretches that do not overlap. */
export function lengthOf(stretches: readonly Stretch[]): bigint {
  return stretches.reduce((sum, { startNs, endNs }) => sum + endNs - startNs, 0n)
}
