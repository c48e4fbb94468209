/** How Go prints values with `%q`: Docker's history of CMD, ENTRYPOINT and HEALTHCHECK has them in that form. */
import { formatDuration } from './durations.ts'
import type { Healthcheck } from './image-config.ts'

/** `["a" "b c"]` */
export function quotedList(words: readonly string[]): string {
  return `[${words.map(word => JSON.stringify(word)).join(' ')}]`
}

/** `&{["CMD" "true"] "5m0s" "3s" "0s" '\x02'}`; a start interval, which is newer, stands before the retries when there is one. */
export function quotedHealthcheck({
  Test = [],
  Interval,
  Timeout,
  StartPeriod,
  StartInterval,
  Retries,
}: Healthcheck): string {
  const times = [Interval ?? 0, Timeout ?? 0, StartPeriod ?? 0, ...(StartInterval === undefined ? [] : [StartInterval])]
  const durations = times.map(time => JSON.stringify(formatDuration(time)))
  return `&{${quotedList(Test)} ${durations.join(' ')} ${quotedRune(Retries ?? 0)}}`
}

const namedRunes: Readonly<Record<number, string>> = {
  7: 'a',
  8: 'b',
  9: 't',
  10: 'n',
  11: 'v',
  12: 'f',
  13: 'r',
  39: "'",
  92: '\\',
}

/** A number that `%q` takes for a character. */
function quotedRune(code: number): string {
  const named = namedRunes[code]
  if (named !== undefined) return `'\\${named}'`
  return code < 32 || code === 127 ? `'\\x${code.toString(16).padStart(2, '0')}'` : `'${String.fromCodePoint(code)}'`
}
