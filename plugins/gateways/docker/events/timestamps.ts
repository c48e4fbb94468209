/** Points in time as Docker's parameters write them: `since`, `until`. */
import { badRequest } from '../http/http-error.ts'

const unitNanos: Record<string, bigint> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
}

/**
 * Nanoseconds since 1970. Takes seconds (`1795243665`, `1795243665.000000123`), RFC 3339 with any part left out from the
 * right, and a duration before `nowMs` (`10m`, `1h30m`). 400 names the text.
 */
export function parseTimestamp(text: string, nowMs: number = Date.now()): bigint {
  const seconds = /^(\d+)(?:\.(\d{1,9}))?$/.exec(text)
  if (seconds) return BigInt(seconds[1] ?? 0) * 1_000_000_000n + BigInt((seconds[2] ?? '').padEnd(9, '0'))
  const duration = parseDuration(text)
  if (duration !== undefined) return BigInt(nowMs) * 1_000_000n - duration
  const date = parseDate(text)
  if (date !== undefined) return date
  throw badRequest(`failed to parse value as time or duration: "${text}"`)
}

/** Go's notation; undefined when it is none. */
function parseDuration(text: string): bigint | undefined {
  const [, sign = '', rest = ''] = /^([+-]?)(.+)$/.exec(text) ?? []
  const parts = [...rest.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)]
  if (parts.length === 0 || parts.map(part => part[0]).join('') !== rest) return undefined
  const nanos = parts.reduce((sum, [, amount = '0', unit = 's']) => sum + scaled(amount, unitNanos[unit] ?? 0n), 0n)
  return sign === '-' ? -nanos : nanos
}

function scaled(amount: string, nanos: bigint): bigint {
  const [whole = '0', fraction = ''] = amount.split('.')
  const digits = fraction.slice(0, 9)
  return BigInt(whole) * nanos + (digits === '' ? 0n : (BigInt(digits) * nanos) / 10n ** BigInt(digits.length))
}

const datePattern = /^(\d{4}-\d{2}-\d{2})(?:T(\d{2})(?::(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?)?)?(Z|[+-]\d{2}:\d{2})?$/

function parseDate(text: string): bigint | undefined {
  const match = datePattern.exec(text)
  if (match === null) return undefined
  const [, day = '', hour = '00', minute = '00', second = '00', fraction = '', zone = 'Z'] = match
  const ms = Date.parse(`${day}T${hour}:${minute}:${second}${zone}`)
  if (Number.isNaN(ms)) return undefined
  return BigInt(ms) * 1_000_000n + BigInt(fraction.padEnd(9, '0'))
}
