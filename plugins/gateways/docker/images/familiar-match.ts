/** The `reference` filter: a glob (Go's path.Match) over names as Docker shows them. */
import type { Reference } from '#api/types/reference.ts'
import { badRequest } from '../http/http-error.ts'
import { shown, shownRepository } from './names.ts'

/** With or without tag, as the pattern is written: `busy*`, `busybox:1.*`, `example/*`. 400 for a bad pattern. */
export function familiarMatch(pattern: string, reference: Reference): boolean {
  const expression = globExpression(pattern)
  return expression.test(shown(reference)) || expression.test(shownRepository(reference))
}

/** `*` and `?` stop at a slash. */
function globExpression(pattern: string): RegExp {
  let source = ''
  for (let i = 0; i < pattern.length; i++) {
    const char = pattern[i] ?? ''
    if (char === '*') source += '[^/]*'
    else if (char === '?') source += '[^/]'
    else if (char === '[') {
      const end = pattern.indexOf(']', i + 2)
      if (end < 0) throw badPattern(pattern)
      source += `[${pattern.slice(i + 1, end).replaceAll('\\', '\\\\')}]`
      i = end
    } else if (char === '\\') {
      i++
      if (i === pattern.length) throw badPattern(pattern)
      source += escaped(pattern[i] ?? '')
    } else source += escaped(char)
  }
  try {
    return new RegExp(`^${source}$`, 'u')
  } catch {
    throw badPattern(pattern)
  }
}

function escaped(char: string): string {
  return char.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')
}

function badPattern(pattern: string): Error {
  return badRequest(`syntax error in pattern: ${JSON.stringify(pattern)}`)
}
