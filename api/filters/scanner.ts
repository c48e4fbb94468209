/** Splits a filter into tokens. What a run of characters is depends on its place: after an operator, a value. */

export type TokenKind = 'field' | 'value' | 'quoted' | 'separator' | 'operator' | 'illegal' | 'other' | 'end'

export interface Token {
  readonly kind: TokenKind
  /** As written, quotes included; for an illegal token what is wrong with it. */
  readonly text: string
  /** Where it starts. */
  readonly at: number
}

const fieldRun = /[A-Za-z0-9_]+/y
const operatorRun = /[=!~]+/y
// Go's unicode.IsGraphic without spaces and commas: control, format, surrogate and private characters end a value.
const valueRun = /[^,\s\p{C}]+/uy
const spaceRun = /\s*/y
const escapeRun = /\\(?:[abfnrtv\\]|[0-7]{3}|x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8})/y

export class Scanner {
  readonly #input: string
  #at = 0
  #valueNext = false

  constructor(input: string) {
    this.#input = input
  }

  /** Offset of the next character. */
  get offset(): number {
    return this.#at
  }

  /** The next character as it is, spaces included; empty at the end. */
  peek(): string {
    return this.#input[this.#at] ?? ''
  }

  next(): Token {
    this.#run(spaceRun)
    const at = this.#at
    const first = this.peek()
    if (first === '') return { kind: 'end', text: '', at }
    if (first === '"' || first === '/' || first === '|') return this.#quoted(first, at)
    if (first === ',' || first === '.') return this.#separator(first, at)
    if (first === '=' || first === '!' || first === '~') return this.#operator(at)
    return this.#word(at)
  }

  #run(pattern: RegExp): string {
    pattern.lastIndex = this.#at
    const text = pattern.exec(this.#input)?.[0] ?? ''
    this.#at += text.length
    return text
  }

  #separator(text: string, at: number): Token {
    this.#at++
    this.#valueNext = false
    return { kind: 'separator', text, at }
  }

  #operator(at: number): Token {
    const text = this.#run(operatorRun)
    this.#valueNext = true
    return { kind: 'operator', text, at }
  }

  #word(at: number): Token {
    const kind = this.#valueNext ? 'value' : 'field'
    const text = this.#run(this.#valueNext ? valueRun : fieldRun)
    this.#valueNext = false
    if (text !== '') return { kind, text, at }
    this.#at++
    return { kind: 'other', text: this.#input.slice(at, this.#at), at }
  }

  #quoted(quote: string, at: number): Token {
    this.#at++
    for (let char = this.peek(); char !== quote; char = this.peek()) {
      if (char === '' || char === '\n') return { kind: 'illegal', text: 'quoted literal not terminated', at }
      if (char !== '\\') this.#at++
      else if (!this.#escape(quote)) return { kind: 'illegal', text: 'illegal escape sequence', at }
    }
    this.#at++
    this.#valueNext = false
    return { kind: 'quoted', text: this.#input.slice(at, this.#at), at }
  }

  #escape(quote: string): boolean {
    if (this.#input[this.#at + 1] === quote) {
      this.#at += 2
      return true
    }
    return this.#run(escapeRun) !== ''
  }
}
