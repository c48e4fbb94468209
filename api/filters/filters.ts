/**
 * containerd's filter language, by which clients choose among objects.
 *
 * ```
 * filter    = selector ("," selector)*             all must match
 * selector  = path [("==" | "!=" | "~=") value]    without operator: the field is there
 * path      = field ("." field)*                   field: [A-Za-z0-9_]+ or quoted
 * value     = quoted | anything up to a comma or space
 * quoted    = "Go string"; after ~= also /pattern/ and |pattern|
 * ```
 *
 * `name==foo,labels."io.example/bar"` matches objects named foo that have that label. Of several filters one must
 * match; no filter, and the empty one, match everything. `!=` matches an absent field too. `~=` is a regular
 * expression found anywhere in the value; one that does not compile matches nothing, as in containerd.
 */
import { invalidArgument } from '../errors/errors.ts'
import { Scanner, type Token } from './scanner.ts'
import { unquote } from './unquote.ts'

/** Reads one field of an object: its path in, its value out; undefined when the object has no such field. */
export type Adaptor = (path: readonly string[]) => string | undefined

/** True when the object behind the adaptor is chosen. */
export type Filter = (adapt: Adaptor) => boolean

/** Compiles filters; one that matches suffices. INVALID_ARGUMENT shows where one cannot be read. */
export function parseFilters(filters: readonly string[] = []): Filter {
  const parsed = filters.map(parseFilter)
  if (parsed.length === 0) return () => true
  return adapt => parsed.some(filter => filter(adapt))
}

/** The field of a string map: what follows its name in the path, joined again, is the key. */
export function mapField(map: Readonly<Record<string, string>>, path: readonly string[]): string | undefined {
  const key = path.join('.')
  return Object.hasOwn(map, key) ? map[key] : undefined
}

type Selector = Filter

function parseFilter(input: string): Filter {
  if (input === '') return () => true
  const selectors = new Parser(input).selectors()
  return adapt => selectors.every(matches => matches(adapt))
}

class Parser {
  readonly #input: string
  readonly #scanner: Scanner

  constructor(input: string) {
    this.#input = input
    this.#scanner = new Scanner(input)
  }

  selectors(): Selector[] {
    const selectors = [this.#selector()]
    while (this.#scanner.peek() === ',') {
      this.#scanner.next()
      selectors.push(this.#selector())
    }
    const rest = this.#scanner.peek()
    if (rest !== '') throw this.#error(this.#scanner.offset, `unexpected input: ${rest}`)
    return selectors
  }

  #selector(): Selector {
    const path = this.#path()
    const after = this.#scanner.peek()
    if (after === '' || after === ',') return adapt => adapt(path) !== undefined
    const operator = this.#operator()
    return compare(path, operator, this.#value(operator === '~='))
  }

  #path(): string[] {
    const path = [this.#field()]
    while (this.#scanner.peek() === '.') {
      this.#scanner.next()
      path.push(this.#field())
    }
    return path
  }

  #field(): string {
    const token = this.#scanner.next()
    if (token.kind === 'field') return token.text
    if (token.kind === 'quoted') return this.#unquote(token, false)
    throw this.#unexpected(token, 'expected field or quoted')
  }

  #operator(): string {
    const token = this.#scanner.next()
    if (token.kind !== 'operator') throw this.#unexpected(token, 'expected an operator ("=="|"!="|"~=")')
    if (token.text !== '==' && token.text !== '!=' && token.text !== '~=')
      throw this.#error(token.at, `unsupported operator "${token.text}"`)
    return token.text
  }

  #value(patternQuotes: boolean): string {
    const token = this.#scanner.next()
    if (token.kind === 'value' || token.kind === 'field') return token.text
    if (token.kind === 'quoted') return this.#unquote(token, patternQuotes)
    throw this.#unexpected(token, 'expected value or quoted')
  }

  #unquote(token: Token, patternQuotes: boolean): string {
    if (!patternQuotes && !token.text.startsWith('"')) throw this.#error(token.at, 'invalid quote encountered')
    return unquote(token.text)
  }

  #unexpected(token: Token, expected: string): Error {
    return this.#error(token.at, token.kind === 'illegal' ? token.text : expected)
  }

  #error(at: number, message: string): Error {
    const input = this.#input
    const place = at < input.length ? `${input.slice(0, at)} >|${input[at]}|< ${input.slice(at + 1)}` : input
    return invalidArgument(`filters: parse error: [${place}]: ${message}`)
  }
}

function compare(path: readonly string[], operator: string, value: string): Selector {
  if (operator === '==') return adapt => adapt(path) === value
  if (operator === '!=') return adapt => (adapt(path) ?? '') !== value
  const pattern = compile(value)
  return adapt => pattern?.test(adapt(path) ?? '') ?? false
}

/** Go's leading flags, `(?i)` and the like, are the one common form JavaScript lacks. */
function compile(source: string): RegExp | undefined {
  const [, flags = '', body = source] = /^\(\?([ims]+)\)(.*)$/s.exec(source) ?? []
  try {
    return new RegExp(body, flags)
  } catch {
    return undefined
  }
}
