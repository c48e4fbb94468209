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

/** RFC 3339 in UTC with nine digits. */
export function formatTimestamp({ seconds, nanos }: Timestamp): string {
  const toSecond = new Date(Number(seconds) * 1000).toISOString().slice(0, -'.000Z'.length)
  return `${toSecond}.${String(nanos).padStart(9, '0')}Z`
}

/** Of RFC 3339 with any number of digits; undefined when it is none. */
export function parseTimestamp(text: string): Timestamp | undefined {
  const ms = Date.parse(text)
  if (Number.isNaN(ms)) return undefined
  const fraction = /\.(\d{1,9})/.exec(text)?.[1] ?? ''
  return { seconds: BigInt(Math.floor(ms / 1000)), nanos: Number(fraction.padEnd(9, '0')) }
}

/** Whether `a` is younger. */
export function isAfter(a: Timestamp, b: Timestamp): boolean {
  return a.seconds === b.seconds ? a.nanos > b.nanos : a.seconds > b.seconds
}
