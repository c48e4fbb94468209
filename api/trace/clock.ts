/**
 * The time of spans. They are measured by the monotonic clock, which all processes of a host share, so that the steps
 * of several processes fit together to the microsecond; OTLP wants wall time, which is added at the end.
 */

/** Nanoseconds of CLOCK_MONOTONIC. */
export function monotonicNs(): bigint {
  return process.hrtime.bigint()
}

/** The monotonic clock's time at `wallMs`, milliseconds since 1970. */
export function monotonicAt(wallMs: number): bigint {
  return BigInt(wallMs) * 1_000_000n - wallOffsetNs()
}

const validForNs = 10_000_000_000n
let known: { atNs: bigint; offsetNs: bigint } | undefined

/**
 * Nanoseconds from the monotonic clock to those since 1970. Node tells wall time in milliseconds only: the one moment at
 * which it is exact is when the next millisecond begins, which is waited for, at most a millisecond every ten seconds.
 */
export function wallOffsetNs(): bigint {
  const now = monotonicNs()
  if (known === undefined || now - known.atNs > validForNs) known = { atNs: now, offsetNs: measureOffset() }
  return known.offsetNs
}

function measureOffset(): bigint {
  const before = Date.now()
  let wall = before
  while (wall === before) wall = Date.now()
  return BigInt(wall) * 1_000_000n - monotonicNs()
}
