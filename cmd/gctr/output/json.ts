/** JSON for programs: bigints as numbers where they fit, bytes as base64, times as RFC 3339. */
import type { Timestamp } from '#api/gen/google/protobuf/timestamp.ts'
import { formatTime } from './units.ts'

/** Indented. */
export function printJson(value: unknown): void {
  console.log(JSON.stringify(value, jsonValue, 2))
}

/** One line of JSON, for streams. */
export function printJsonLine(value: unknown): void {
  console.log(toJson(value))
}

/** The same, as text. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, jsonValue)
}

function jsonValue(this: unknown, key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : value.toString()
  // Buffer.toJSON has run already: look at the original.
  const original = (this as Record<string, unknown>)[key]
  if (original instanceof Uint8Array) return Buffer.from(original).toString('base64')
  return isTimestamp(value) ? formatTime(value) : value
}

function isTimestamp(value: unknown): value is Timestamp {
  return (
    typeof value === 'object' &&
    value !== null &&
    'seconds' in value &&
    'nanos' in value &&
    Object.keys(value).length === 2
  )
}
