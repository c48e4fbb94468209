import type { Timestamp } from '#api/gen/google/protobuf/timestamp.ts'

let lastMs = 0
let sinceTicks = 0n

/**
 * The present time: the wall clock's millisecond, refined by the monotonic clock within it, so that two changes of one
 * record in the same millisecond still have different times, and other processes' clocks agree to the millisecond.
 */
export function now(): Timestamp {
  const ms = Date.now()
  const ticks = process.hrtime.bigint()
  if (ms !== lastMs) {
    lastMs = ms
    sinceTicks = ticks
  }
  const within = ticks - sinceTicks
  return fromNanoseconds(BigInt(ms) * 1_000_000n + (within < 1_000_000n ? within : 999_999n))
}

function fromNanoseconds(total: bigint): Timestamp {
  return { seconds: total / 1_000_000_000n, nanos: Number(total % 1_000_000_000n) }
}

/** Milliseconds since the epoch as a timestamp. */
export function timestampOf(ms: number): Timestamp {
  return fromNanoseconds(BigInt(Math.round(ms * 1000)) * 1000n)
}
