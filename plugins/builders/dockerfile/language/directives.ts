/** Parser directives: comments of the form `# name=value` that open a Dockerfile. */
import { DockerfileError } from './location.ts'

export interface Directives {
  /** `# syntax=`: names a frontend image; noted, ours is built in. */
  readonly syntax?: string
  /** `# escape=`: `\`, the default, or a backtick. */
  readonly escapeChar: string
  /** `# check=`: checks to skip, and whether a warning is an error. */
  readonly check?: string
}

const known = new Set(['syntax', 'escape', 'check'])

/** Reads them; the first line that is anything else ends them, a blank one too. INVALID_ARGUMENT for one given twice. */
export function readDirectives(file: string, lines: readonly string[]): Directives {
  const found = new Map<string, string>()
  for (const [index, line] of lines.entries()) {
    const [, name, value] = /^#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*$/.exec(line) ?? []
    const key = name?.toLowerCase()
    if (key === undefined || value === undefined || !known.has(key)) break
    const place = { file, lines, location: { startLine: index + 1, endLine: index + 1 } }
    if (found.has(key)) throw new DockerfileError(`only one ${key} parser directive can be used`, place)
    if (key === 'escape' && value !== '\\' && value !== '`')
      throw new DockerfileError(`invalid escape token '${value}' does not match \` or \\`, { ...place, word: value })
    found.set(key, value)
  }
  const syntax = found.get('syntax')
  const check = found.get('check')
  return {
    escapeChar: found.get('escape') ?? '\\',
    ...(syntax === undefined ? {} : { syntax }),
    ...(check === undefined ? {} : { check }),
  }
}
