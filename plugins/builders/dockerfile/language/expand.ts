/**
 * Variables and quotes in a word, as the Dockerfile reference defines them ("Environment replacement"): `$name`,
 * `${name}`, defaults and alternatives (`:-` `-` `:+` `+` `:?` `?`), and the pattern forms `#` `##` `%` `%%` `/` `//`.
 * Quotes are taken off on the way; the escape character makes the next one literal.
 */
import { invalidArgument } from '#api/errors/errors.ts'
import { isBlank } from './words.ts'

export interface ExpandOptions {
  /** Value of a variable; undefined when it is not set. */
  readonly lookup: (name: string) => string | undefined
  /** The escape character, `\` or a backtick. */
  readonly escapeChar: string
  /** Told of each name that is looked up and not set, without a default. */
  readonly onUnset?: (name: string) => void
}

/** The word with its variables replaced and its quotes gone. INVALID_ARGUMENT for what cannot be read. */
export function expandWord(word: string, options: ExpandOptions): string {
  return new Expansion(word, options).whole()
}

/** The same, split at blanks outside quotes, those that came out of variables included. */
export function expandWords(line: string, options: ExpandOptions): string[] {
  return new Expansion(line, options).words()
}

type Piece = { readonly text: string; readonly quoted: boolean }

class Expansion {
  readonly #text: string
  readonly #options: ExpandOptions
  #at = 0

  constructor(text: string, options: ExpandOptions) {
    this.#text = text
    this.#options = options
  }

  whole(): string {
    return this.#pieces('')
      .map(piece => piece.text)
      .join('')
  }

  words(): string[] {
    const words: string[] = []
    let word: string | undefined
    for (const { text, quoted } of this.#pieces('')) {
      if (quoted) {
        word = (word ?? '') + text
        continue
      }
      for (const char of text) {
        if (!isBlank(char)) word = (word ?? '') + char
        else if (word !== undefined) {
          words.push(word)
          word = undefined
        }
      }
    }
    if (word !== undefined) words.push(word)
    return words
  }

  /** Pieces up to an unquoted `stop`, which stays unread. */
  #pieces(stop: string): Piece[] {
    const pieces: Piece[] = []
    while (this.#at < this.#text.length) {
      const char = this.#text[this.#at] as string
      if (char === stop) break
      pieces.push(this.#piece(char))
    }
    return pieces
  }

  #piece(char: string): Piece {
    if (char === "'") return { text: this.#singleQuoted(), quoted: true }
    if (char === '"') return { text: this.#doubleQuoted(), quoted: true }
    if (char === '$') return { text: this.#variable(), quoted: false }
    this.#at++
    if (char !== this.#options.escapeChar) return { text: char, quoted: false }
    // An escape at the very end stands for nothing.
    const text = this.#text[this.#at] ?? ''
    this.#at++
    return { text, quoted: true }
  }

  #singleQuoted(): string {
    const end = this.#text.indexOf("'", this.#at + 1)
    if (end < 0) throw this.#error('unexpected end of statement while looking for matching single-quote')
    const text = this.#text.slice(this.#at + 1, end)
    this.#at = end + 1
    return text
  }

  #doubleQuoted(): string {
    const { escapeChar } = this.#options
    let text = ''
    for (this.#at++; this.#at < this.#text.length; ) {
      const char = this.#text[this.#at] as string
      if (char === '"') {
        this.#at++
        return text
      }
      if (char === '$') {
        text += this.#variable()
        continue
      }
      const next = this.#text[this.#at + 1]
      // Within double quotes the escape character works on these alone and is itself otherwise.
      const escapes = char === escapeChar && next !== undefined && (next === '"' || next === '$' || next === escapeChar)
      text += escapes ? next : char
      this.#at += escapes ? 2 : 1
    }
    throw this.#error('unexpected end of statement while looking for matching double-quote')
  }

  #variable(): string {
    this.#at++
    if (this.#text[this.#at] !== '{') {
      const name = this.#name()
      return name === '' ? '$' : (this.#lookup(name) ?? '')
    }
    this.#at++
    const name = this.#name()
    if (name === '') throw this.#error('bad substitution')
    const value = this.#modified(name)
    if (this.#text[this.#at] !== '}') throw this.#error("syntax error: missing '}'")
    this.#at++
    return value
  }

  /** A name, or one special parameter such as `$1` or `$@`. */
  #name(): string {
    const [name = ''] = /^(?:[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?!-])/.exec(this.#text.slice(this.#at)) ?? []
    this.#at += name.length
    return name
  }

  #modified(name: string): string {
    const [operator = ''] = /^(?::[-+?]|[-+?]|##?|%%?|\/\/?)/.exec(this.#text.slice(this.#at)) ?? []
    if (operator === '') {
      if (this.#text[this.#at] !== '}') throw this.#error(`unsupported modifier (${this.#text[this.#at] ?? ''})`)
      return this.#lookup(name) ?? ''
    }
    this.#at += operator.length
    if (operator.startsWith('/')) return this.#replaced(name, operator === '//')
    if (/[#%]/.test(operator)) {
      const pattern = this.#argument('}', true)
      return strip(this.#lookup(name) ?? '', pattern, operator)
    }
    const word = this.#argument('}')
    const value = this.#options.lookup(name)
    const there = value !== undefined && (value !== '' || !operator.startsWith(':'))
    if (operator.endsWith('-')) return there ? value : word
    if (operator.endsWith('+')) return there ? word : ''
    if (there) return value
    throw this.#error(`${name}: ${word === '' ? 'is not allowed to be unset' : word}`)
  }

  #replaced(name: string, all: boolean): string {
    const pattern = this.#argument('/', true)
    if (this.#text[this.#at] !== '/') throw this.#error(`missing replacement of \${${name}/…/…}`)
    this.#at++
    const replacement = this.#argument('}')
    const regex = new RegExp(globSource(pattern, true), all ? 'gs' : 's')
    return (this.#lookup(name) ?? '').replace(regex, () => replacement)
  }

  /** What stands up to `stop`, expanded; `pattern`: escapes stay, they mean something to the pattern. */
  #argument(stop: string, pattern = false): string {
    if (!pattern)
      return this.#pieces(stop)
        .map(piece => piece.text)
        .join('')
    let text = ''
    while (this.#at < this.#text.length && this.#text[this.#at] !== stop) {
      const char = this.#text[this.#at] as string
      if (char === '$') text += this.#variable()
      else if (char === this.#options.escapeChar) {
        text += `\\${this.#text[this.#at + 1] ?? ''}`
        this.#at += 2
      } else {
        text += char
        this.#at++
      }
    }
    return text
  }

  #lookup(name: string): string | undefined {
    const value = this.#options.lookup(name)
    if (value === undefined) this.#options.onUnset?.(name)
    return value
  }

  #error(problem: string) {
    return invalidArgument(`failed to process ${JSON.stringify(this.#text)}: ${problem}`, { bare: true })
  }
}

/** `#` and `##` cut the shortest and the longest match off the front, `%` and `%%` off the end. */
function strip(value: string, pattern: string, operator: string): string {
  const greedy = operator.length === 2
  if (operator.startsWith('#')) return value.replace(new RegExp(`^(?:${globSource(pattern, greedy)})`, 's'), '')
  const regex = new RegExp(`^(?:${globSource(pattern, true)})$`, 's')
  const starts = Array.from({ length: value.length + 1 }, (_, at) => (greedy ? at : value.length - at))
  const start = starts.find(at => regex.test(value.slice(at)))
  return start === undefined ? value : value.slice(0, start)
}

/** The regular expression of a shell pattern: `*`, `?`, and `\` before a literal. */
function globSource(pattern: string, greedy: boolean): string {
  let source = ''
  for (let at = 0; at < pattern.length; at++) {
    const char = pattern[at] as string
    if (char === '*') source += greedy ? '.*' : '.*?'
    else if (char === '?') source += '.'
    else source += RegExp.escape(char === '\\' ? (pattern[++at] ?? '\\') : char)
  }
  return source
}
