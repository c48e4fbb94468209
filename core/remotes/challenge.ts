/** `WWW-Authenticate` (RFC 9110, 11.6.1): what a server wants to see. */

export interface Challenge {
  /** Lower case: `basic`, `bearer`. */
  readonly scheme: string
  /** Names in lower case. */
  readonly parameters: Readonly<Record<string, string>>
}

const token = "[A-Za-z0-9!#$%&'*+.^_`|~-]+"
const parameterPattern = new RegExp(`(${token})\\s*=\\s*(?:"((?:[^"\\\\]|\\\\.)*)"|(${token}))`, 'y')
const schemePattern = new RegExp(`(${token})(?:\\s+|$|(?=,))`, 'y')
const maxHeaderLength = 16 * 1024

/** All challenges of all header lines; what cannot be read is skipped, a challenge before it kept. */
export function parseChallenges(headers: readonly string[]): Challenge[] {
  return headers.filter(header => header.length <= maxHeaderLength).flatMap(parseHeader)
}

function parseHeader(header: string): Challenge[] {
  const challenges: { scheme: string; parameters: Record<string, string> }[] = []
  let at = 0
  const skip = () => {
    while (at < header.length && ' \t,'.includes(header[at] ?? '')) at++
  }
  for (skip(); at < header.length; skip()) {
    const parameter = matchAt(parameterPattern, header, at)
    const current = challenges.at(-1)
    if (parameter && current) {
      const [all, name = '', quoted, plain = ''] = parameter
      current.parameters[name.toLowerCase()] = quoted?.replace(/\\(.)/g, '$1') ?? plain
      at += all.length
      continue
    }
    const scheme = matchAt(schemePattern, header, at)
    if (!scheme) break
    challenges.push({ scheme: (scheme[1] ?? '').toLowerCase(), parameters: {} })
    at += scheme[0].length
  }
  return challenges
}

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at
  return pattern.exec(text)
}
