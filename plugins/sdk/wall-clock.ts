import type { Timestamp } from '#api/gen/google/protobuf/timestamp.ts'

const nsPerMs = 1_000_000n
const nsPerSecond = 1_000_000_000n

/** Nanoseconds between the epoch and the zero of the monotonic clock; follows the system clock. */
let offset = BigInt(Date.now()) * nsPerMs - process.hrtime.bigint()

/**
 * Now, finer than the milliseconds of `Date`: never earlier than an instant somebody else read from the system's
 * clock before asking us by more than a fraction of one. Node has no clock_gettime, so the monotonic clock
 * interpolates, and is set right whenever it leaves the millisecond that `Date` tells.
 */
export function now(): Timestamp {
  const floor = BigInt(Date.now()) * nsPerMs
  let ns = process.hrtime.bigint() + offset
  if (ns < floor || ns >= floor + nsPerMs) {
    const aim = ns < floor ? floor : floor + nsPerMs - 1n
    offset += aim - ns
    ns = aim
  }
  return { seconds: ns / nsPerSecond, nanos: Number(ns % nsPerSecond) }
}
