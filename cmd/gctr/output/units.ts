/** Sizes, times and digests as people write and read them. */
import { invalidArgument } from '#api/errors/errors.ts'
import type { Timestamp } from '#api/gen/google/protobuf/timestamp.ts'
import { timestampOf } from '#api/types/clock.ts'

const binaryUnits = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']

/** 1536 → `1.5 KiB`. */
export function formatBytes(bytes: number | bigint): string {
  let value = Number(bytes)
  let unit = 0
  while (Math.abs(value) >= 1024 && unit < binaryUnits.length - 1) {
    value /= 1024
    unit++
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${binaryUnits[unit]}`
}

/** `64m`, `1.5GiB`, `4096`: powers of 1024, as docker's flags. INVALID_ARGUMENT names the flag. */
export function parseBytes(text: string, flag: string): bigint {
  const match = /^(-?\d+(?:\.\d+)?)\s*([bkmgtp]?)(?:i?b)?$/i.exec(text.trim())
  if (match === null)
    throw invalidArgument(`${flag} "${text}" is no size; write a number and a unit, such as 64m or 1.5g`)
  const power = ' kmgtp'.indexOf((match[2] ?? '').toLowerCase().replace('b', '') || ' ')
  return BigInt(Math.round(Number(match[1]) * 1024 ** power))
}

const durations: [number, string][] = [
  [365 * 86_400, 'year'],
  [30 * 86_400, 'month'],
  [7 * 86_400, 'week'],
  [86_400, 'day'],
  [3600, 'hour'],
  [60, 'minute'],
  [1, 'second'],
]

/** `3 minutes ago`; empty for a time that is not set. */
export function formatAge(time: Timestamp | undefined): string {
  if (time === undefined || time.seconds === 0n) return ''
  const seconds = Math.max(0, Date.now() / 1000 - Number(time.seconds))
  const [size, unit] = durations.find(([size]) => seconds >= size) ?? [1, 'second']
  const count = Math.floor(seconds / size)
  return `${count} ${unit}${count === 1 ? '' : 's'} ago`
}

/** RFC 3339 with milliseconds. */
export function formatTime(time: Timestamp | undefined): string {
  if (time === undefined) return ''
  return new Date(Number(time.seconds) * 1000 + time.nanos / 1e6).toISOString()
}

/** `90s`, `24h`, `7d` in seconds; 0 stays 0. */
export function parseDuration(text: string, flag: string): number {
  const match = /^(\d+(?:\.\d+)?)(s|m|h|d)?$/.exec(text)
  if (match === null)
    throw invalidArgument(`${flag} "${text}" is no duration; write a number and a unit, such as 90s or 24h`)
  return Number(match[1]) * ({ s: 1, m: 60, h: 3600, d: 86_400 }[match[2] ?? 's'] ?? 1)
}

/** `sha256:` and 12 digits. */
export function shortDigest(digest: string): string {
  return digest.replace(/^(sha256:.{12}).*/, '$1')
}

/** The first 12 characters of a 64-digit id; other ids stay whole. */
export function shortId(id: string): string {
  return /^[0-9a-f]{64}$/.test(id) ? id.slice(0, 12) : id
}

/** RFC 3339, or a duration back from now. INVALID_ARGUMENT names the flag. */
export function parseSince(text: string, flag: string): Timestamp {
  const at = /^\d{4}-/.test(text) ? Date.parse(text) : Date.now() - 1000 * parseDuration(text, flag)
  if (Number.isNaN(at)) throw invalidArgument(`${flag} "${text}" is no time; write 2026-11-21T10:00:00Z, or 10m`)
  return timestampOf(at)
}
