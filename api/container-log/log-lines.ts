/** Lines of Docker's json-file log: `{"log":"…\n","stream":"stdout","time":"…"}`. */

export interface LogLine {
  text: string
  stream: string
  /** RFC 3339 with nanoseconds. */
  time: string
  attrs?: Record<string, string>
}

/** Undefined for a line that is cut off, such as the one that is just being written. */
export function parseLogLine(bytes: Buffer): LogLine | undefined {
  try {
    const { log, stream, time, attrs } = JSON.parse(bytes.toString('utf8')) as Record<string, unknown>
    if (typeof log !== 'string' || typeof time !== 'string') return undefined
    return { text: log, stream: String(stream), time, ...(attrs ? { attrs: attrs as Record<string, string> } : {}) }
  } catch {
    return undefined
  }
}

/** Nanoseconds since 1970. */
export function nanosecondsOf(time: string): bigint {
  const [, seconds = '', fraction = ''] = /^([^.]*?)(?:\.(\d+))?(?:Z|[+-]\d\d:\d\d)$/.exec(time) ?? []
  const zone = /([+-]\d\d:\d\d)$/.exec(time)?.[1] ?? 'Z'
  const whole = Date.parse(`${seconds}${zone}`)
  return Number.isNaN(whole) ? 0n : BigInt(whole) * 1_000_000n + BigInt(fraction.padEnd(9, '0').slice(0, 9))
}
