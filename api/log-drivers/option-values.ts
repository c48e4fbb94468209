/** Values of log options, refused in Docker's words. */
import { invalidArgument } from '#api/errors/errors.ts'

export type LogOptions = Readonly<Record<string, string>>

/** INVALID_ARGUMENT with `message` as it is. */
export const refused = (message: string) => invalidArgument(message, { bare: true })

const units: Record<string, number> = { '': 1, b: 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 }

/** Bytes: "10m", "1gb". */
export function parseSize(text: string): number {
  const [, digits, unit = ''] = /^(\d+(?:\.\d+)?)\s*([bkmgt]?)(?:i?b)?$/i.exec(text) ?? []
  if (digits === undefined) throw refused(`invalid size: '${text}'`)
  return Math.floor(Number(digits) * (units[unit.toLowerCase()] ?? 1))
}

/** Go's strconv.ParseBool. */
export function parseFlag(text: string): boolean {
  if (['1', 't', 'T', 'TRUE', 'true', 'True'].includes(text)) return true
  if (['0', 'f', 'F', 'FALSE', 'false', 'False'].includes(text)) return false
  throw refused(`strconv.ParseBool: parsing "${text}": invalid syntax`)
}

/** Go's strconv.ParseUint. */
export function parseCount(text: string): number {
  if (/^\d+$/.test(text)) return Number(text)
  throw refused(`strconv.ParseUint: parsing "${text}": invalid syntax`)
}

const durations: Record<string, number> = { ns: 1e-6, us: 1e-3, µs: 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** Milliseconds of Go's "1.5s", "2m30s". */
export function parseDurationMs(text: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/gy)]
  if (text === '0') return 0
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== text)
    throw refused(`time: invalid duration "${text}"`)
  return parts.reduce((sum, [, number, unit = '']) => sum + Number(number) * (durations[unit] ?? 0), 0)
}

/** A port that is none, as Go's url.Parse says it. */
export function checkPort(address: string): void {
  const [, port = ''] = /:([^:/\]]*)$/.exec(address.replace(/^[^:]+:\/\//, '')) ?? []
  if (!/^\d*$/.test(port)) throw refused(`parse "${address}": invalid port ":${port}" after host`)
}

/** "host:port" or "[address]:port"; without a port `port` is undefined. */
export function hostAndPort(text: string): { host: string; port: number | undefined } {
  const [, host = '', port] = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(text) ?? []
  return { host: host.replace(/^\[|\]$/g, ''), port: port === undefined ? undefined : Number(port) }
}
