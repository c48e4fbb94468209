/** Go's path patterns (`path/filepath.Match`), by which COPY and ADD choose files: `*`, `?`, `[a-z]`, `[^…]`, `\`. */
import { invalidArgument } from '#api/errors/errors.ts'

/** True when a path needs matching rather than looking up. */
export function isPattern(path: string): boolean {
  return /[*?[\\]/.test(path)
}

/** A test for one path component. INVALID_ARGUMENT for a pattern that cannot be read. */
export function componentMatcher(pattern: string): (name: string) => boolean {
  const regex = new RegExp(`^${source(pattern)}$`, 's')
  return name => regex.test(name)
}

function source(pattern: string): string {
  let text = ''
  for (let at = 0; at < pattern.length; at++) {
    const char = pattern[at] as string
    if (char === '*') text += '[^/]*'
    else if (char === '?') text += '[^/]'
    else if (char === '[') {
      const end = classEnd(pattern, at)
      text += classSource(pattern.slice(at + 1, end))
      at = end
    } else text += RegExp.escape(char === '\\' ? literal(pattern, ++at) : char)
  }
  return text
}

function literal(pattern: string, at: number): string {
  const char = pattern[at]
  if (char === undefined) throw invalidArgument(`syntax error in pattern "${pattern}": it ends with a backslash`)
  return char
}

/** Where the class that opens at `start` closes; a `]` right after the opening belongs to it. */
function classEnd(pattern: string, start: number): number {
  let at = start + 1
  if (pattern[at] === '^') at++
  for (let first = true; at < pattern.length; at++, first = false) {
    if (pattern[at] === '\\') at++
    else if (pattern[at] === ']' && !first) return at
  }
  throw invalidArgument(`syntax error in pattern "${pattern}": a "[" is not closed`)
}

function classSource(body: string): string {
  const negated = body.startsWith('^')
  let text = ''
  const chars = negated ? body.slice(1) : body
  for (let at = 0; at < chars.length; at++) {
    const char = chars[at] as string
    const middle = at > 0 && at < chars.length - 1
    if (char === '\\') text += RegExp.escape(chars[++at] ?? '\\')
    else text += char === '-' && middle ? '-' : RegExp.escape(char)
  }
  return `[${negated ? '^' : ''}${text}]`
}
