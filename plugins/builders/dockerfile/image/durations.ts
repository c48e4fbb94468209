/** Go's durations (`1m30s`, `500ms`, `1.5h`), which HEALTHCHECK speaks. */
import { invalidArgument } from '#api/errors/errors.ts'

const nanoseconds = { ns: 1, us: 1e3, µs: 1e3, μs: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 } as const

/** Nanoseconds. INVALID_ARGUMENT for a text that is none, or below zero. */
export function parseDuration(text: string): number {
  if (text === '0') return 0
  const parts = [...text.matchAll(/(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g)]
  if (parts.length === 0 || parts.map(part => part[0]).join('') !== text)
    throw invalidArgument(`invalid duration "${text}": it is written as "30s" or "1m30s"`)
  return Math.round(
    parts.reduce((sum, [, count, unit]) => sum + Number(count) * nanoseconds[unit as keyof typeof nanoseconds], 0),
  )
}

/** As Go's Duration.String() writes whole milliseconds and more: `5m0s`, `1.5s`, `0s`. */
export function formatDuration(ns: number): string {
  if (ns === 0) return '0s'
  if (ns < nanoseconds.s) return `${ns / nanoseconds.ms}ms`
  const [hours, minutes] = [Math.floor(ns / nanoseconds.h), Math.floor(ns / nanoseconds.m) % 60]
  const seconds = `${(ns % nanoseconds.m) / nanoseconds.s}s`
  return hours > 0 ? `${hours}h${minutes}m${seconds}` : minutes > 0 ? `${minutes}m${seconds}` : seconds
}
