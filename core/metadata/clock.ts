import type { Timestamp } from '#api/gen/google/protobuf/timestamp.ts'

let wallMs = Date.now()
let ticks = process.hrtime.bigint()

/**
 * The present time with nanoseconds: the wall clock, refined by the monotonic one, so that two changes of one record
 * in the same millisecond still have different times. Follows the wall clock when that is set.
 */
export function now(): Timestamp {
  const elapsed = process.hrtime.bigint() - ticks
  const refined = BigInt(wallMs) * 1_000_000n + elapsed
  const drift = Date.now() - Number(refined / 1_000_000n)
  if (Math.abs(drift) > 20) {
    wallMs = Date.now()
    ticks = process.hrtime.bigint()
    return fromNanoseconds(BigInt(wallMs) * 1_000_000n)
  }
  return fromNanoseconds(refined)
}

function fromNanoseconds(total: bigint): Timestamp {
  return { seconds: total / 1_000_000_000n, nanos: Number(total % 1_000_000_000n) }
}

/** Milliseconds since the epoch as a timestamp. */
export function timestampOf(ms: number): Timestamp {
  return fromNanoseconds(BigInt(Math.round(ms * 1000)) * 1000n)
}
