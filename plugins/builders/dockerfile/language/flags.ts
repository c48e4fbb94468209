/** Flags of an instruction: `--name=value` and `--name`, between the keyword and the arguments. */

/** Which flags an instruction takes: a boolean, one value, or a value each time it is given. */
export type FlagTypes = Readonly<Record<string, 'boolean' | 'value' | 'list'>>

export interface Flags {
  boolean(name: string): boolean | undefined
  value(name: string): string | undefined
  list(name: string): readonly string[]
}

/** The flags that open `text`, and the rest of it. `fail` makes an error of a problem and the word at fault. */
export function readFlags(
  text: string,
  types: FlagTypes,
  escapeChar: string,
  fail: (problem: string, word: string) => Error,
): { flags: Flags; rest: string } {
  const given = new Map<string, string[]>()
  let rest = text.trimStart()
  while (rest.startsWith('--')) {
    const word = flagWord(rest, escapeChar)
    rest = rest.slice(word.length).trimStart()
    if (word === '--') break
    const [, name = '', value] = /^--([^=]*)(?:=([\s\S]*))?$/.exec(word) ?? []
    const type = types[name]
    if (type === undefined) throw fail(`unknown flag: --${name}${similar(name, Object.keys(types), '--')}`, word)
    if (type !== 'boolean' && value === undefined) throw fail(`missing a value on flag: --${name}`, word)
    if (type === 'boolean' && !['true', 'false', undefined].includes(value))
      throw fail(`expecting boolean value for flag --${name}, not: ${value}`, word)
    const values = given.get(name) ?? []
    if (type !== 'list' && values.length > 0) throw fail(`duplicate flag specified: --${name}`, word)
    given.set(name, [...values, value === undefined ? 'true' : unquoted(value, escapeChar)])
  }
  const value = (name: string) => given.get(name)?.[0]
  return {
    flags: {
      boolean: name => (value(name) === undefined ? undefined : value(name) === 'true'),
      value,
      list: name => given.get(name) ?? [],
    },
    rest,
  }
}

/** `text`'s first word; blanks within quotes belong to it. */
function flagWord(text: string, escapeChar: string): string {
  let quote = ''
  for (let at = 0; at < text.length; at++) {
    const char = text[at] as string
    if (quote === '' && /\s/.test(char)) return text.slice(0, at)
    if (char === escapeChar) at++
    else if (char === quote) quote = ''
    else if (quote === '' && (char === '"' || char === "'")) quote = char
  }
  return text
}

/** Quotes around and within a flag's value go; what is between them stays as it is. */
function unquoted(value: string, escapeChar: string): string {
  let text = ''
  let quote = ''
  for (let at = 0; at < value.length; at++) {
    const char = value[at] as string
    if (char === escapeChar && at + 1 < value.length) text += value[++at]
    else if (char === quote) quote = ''
    else if (quote === '' && (char === '"' || char === "'")) quote = char
    else text += char
  }
  return text
}

/** ` (did you mean X?)` for a name that is near one of them; empty otherwise. */
export function similar(name: string, names: readonly string[], prefix = ''): string {
  const near = names
    .map(candidate => ({ candidate, distance: distance(name.toLowerCase(), candidate.toLowerCase()) }))
    .filter(({ candidate, distance }) => distance <= Math.max(1, Math.floor(candidate.length * 0.45)))
    .toSorted((a, b) => a.distance - b.distance)[0]
  return near === undefined ? '' : ` (did you mean ${prefix}${near.candidate}?)`
}

/** Levenshtein's: how many letters to add, drop or change. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at)
  for (const [i, left] of [...a].entries()) {
    const next = [i + 1]
    for (const [j, right] of [...b].entries())
      next.push(Math.min((next[j] ?? 0) + 1, (row[j + 1] ?? 0) + 1, (row[j] ?? 0) + (left === right ? 0 : 1)))
    row = next
  }
  return row[b.length] ?? 0
}
