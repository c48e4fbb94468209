/** `since` and `until`: Unix seconds with a fraction, RFC 3339, or a duration back from now. */
import { badRequest } from '../http/http-error.ts'

const unitMs: Record<string, number> = { ns: 1e-6, us: 1e-3, µs: 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** Milliseconds since 1970. 400 for anything else. */
export function parsePointInTime(text: string, nowMs: number): number {
  if (/^-?\d+(\.\d+)?$/.test(text)) return Number(text) * 1000
  const duration = parseDuration(text)
  if (duration !== undefined) return nowMs - duration
  const zoned = /^\d{4}-\d{2}-\d{2}$/.test(text) ? `${text}T00:00:00` : text
  const at = Date.parse(zoned)
  if (Number.isNaN(at)) throw badRequest(`failed to parse value as time or duration: "${text}"`)
  return at
}

/** Go's "1h30m"; milliseconds. */
export function parseDuration(text: string): number | undefined {
  if (!/^([\d.]+(ns|us|µs|ms|s|m|h))+$/.test(text)) return undefined
  const parts = [...text.matchAll(/([\d.]+)(ns|us|µs|ms|s|m|h)/g)]
  return parts.reduce((sum, [, count = '0', unit = 's']) => sum + Number(count) * (unitMs[unit] ?? 0), 0)
}
