/** Splitting a line into words as the Dockerfile language does: at blanks outside quotes, quotes and escapes kept. */

/** Words of a line, raw: `A="b c" d\ e` is `A="b c"` and `d\ e`. Within single quotes nothing escapes. */
export function splitWords(line: string, escapeChar: string): string[] {
  const words: string[] = []
  let word = ''
  let quote = ''
  for (let at = 0; at < line.length; at++) {
    const char = line[at] as string
    if (quote === '' && isBlank(char)) {
      if (word !== '') words.push(word)
      word = ''
      continue
    }
    word += char
    if (char === escapeChar && quote !== "'" && at + 1 < line.length) word += line[++at]
    else if (quote === '' && (char === '"' || char === "'")) quote = char
    else if (char === quote) quote = ''
  }
  if (word !== '') words.push(word)
  return words
}

/** The first word of a line and what follows it, blanks between them gone. */
export function splitFirst(line: string): [word: string, rest: string] {
  const [, word = '', rest = ''] = /^\s*(\S*)\s*([\s\S]*)$/.exec(line) ?? []
  return [word, rest]
}

export function isBlank(char: string): boolean {
  return char === ' ' || char === '\t' || char === '\n' || char === '\r' || char === '\v' || char === '\f'
}
