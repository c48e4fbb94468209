/** Times on the wire: RFC 3339 with nanoseconds, the year 1 for "never" (Go's zero time). */
import type { Timestamp } from '#api/gen/google/protobuf/timestamp.ts'

export const neverText = '0001-01-01T00:00:00Z'

export function timeText(time: Timestamp | undefined): string {
  if (time === undefined) return neverText
  const seconds = new Date(Number(time.seconds) * 1000).toISOString().slice(0, 19)
  const fraction = String(time.nanos).padStart(9, '0').replace(/0+$/, '')
  return `${seconds}${fraction === '' ? '' : `.${fraction}`}Z`
}

export function millisecondsOf(time: Timestamp): number {
  return Number(time.seconds) * 1000 + time.nanos / 1e6
}

/** "About an hour", "3 seconds": what `docker ps` says of a duration (docker/go-units, HumanDuration). */
export function humanDuration(ms: number): string {
  const seconds = Math.floor(ms / 1000)
  if (seconds < 1) return 'Less than a second'
  if (seconds === 1) return '1 second'
  if (seconds < 60) return `${seconds} seconds`
  const minutes = Math.floor(seconds / 60)
  if (minutes === 1) return 'About a minute'
  if (minutes < 60) return `${minutes} minutes`
  const hours = Math.round(seconds / 3600)
  if (hours === 1) return 'About an hour'
  if (hours < 48) return `${hours} hours`
  if (hours < 24 * 7 * 2) return `${Math.floor(hours / 24)} days`
  if (hours < 24 * 30 * 2) return `${Math.floor(hours / 24 / 7)} weeks`
  if (hours < 24 * 365 * 2) return `${Math.floor(hours / 24 / 30)} months`
  return `${Math.floor(hours / 24 / 365)} years`
}
