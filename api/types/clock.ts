import type { Timestamp } from '../gen/google/protobuf/timestamp.ts'

const nsPerMs = 1_000_000n
const nsPerSecond = 1_000_000_000n

/** From the monotonic clock to the epoch. Node tells the wall clock's microseconds in `timeOrigin` alone. */
let offset = BigInt(Math.round((performance.timeOrigin + performance.now()) * 1000)) * 1000n - process.hrtime.bigint()

/**
 * The present time with nanoseconds, so that two changes of one record in the same millisecond have different times:
 * the monotonic clock, set right whenever it leaves the millisecond that the wall clock tells.
 */
export function now(): Timestamp {
  const floor = BigInt(Date.now()) * nsPerMs
  const ticks = process.hrtime.bigint()
  const told = ticks + offset
  const within = told < floor ? floor : told < floor + nsPerMs ? told : floor + nsPerMs - 1n
  offset += within - told
  return fromNanoseconds(within)
}

function fromNanoseconds(total: bigint): Timestamp {
  return { seconds: total / nsPerSecond, nanos: Number(total % nsPerSecond) }
}

/** Milliseconds since the epoch as a timestamp. */
export function timestampOf(ms: number): Timestamp {
  return fromNanoseconds(BigInt(Math.round(ms * 1000)) * 1000n)
}
