/** `WWW-Authenticate` of a registry (RFC 9110, 11.6.1): basic, or bearer with the place to ask for a token. */

export interface Challenge {
  scheme: 'basic' | 'bearer'
  /** Names in lower case. */
  parameters: Readonly<Record<string, string>>
}

/** Bearer before basic, when there are both. Undefined: nothing that we can answer. */
export function parseChallenge(header: string): Challenge | undefined {
  const bearer = /(?:^|,)\s*bearer\s+(.*)$/i.exec(header)?.[1]
  if (bearer !== undefined) {
    const pairs = [...bearer.matchAll(/(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))/g)]
    const parameters = pairs.map(([, name = '', quoted, plain = '']) => [
      name.toLowerCase(),
      quoted?.replace(/\\(.)/g, '$1') ?? plain,
    ])
    return { scheme: 'bearer', parameters: Object.fromEntries(parameters) }
  }
  return /(?:^|,)\s*basic\b/i.test(header) ? { scheme: 'basic', parameters: {} } : undefined
}
