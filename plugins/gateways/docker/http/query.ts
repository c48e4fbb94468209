/** Query parameters as Docker reads them. */
import type { FastifyRequest } from 'fastify'
import { badRequest } from './http-error.ts'

type Raw = string | string[] | undefined

/** The parameters of a request by name. */
export class Query {
  readonly #values: Readonly<Record<string, Raw>>

  constructor(request: Pick<FastifyRequest, 'query'>) {
    this.#values = request.query as Record<string, Raw>
  }

  /** The first value; empty when the parameter is not there. */
  text(name: string): string {
    const value = this.#values[name]
    return (Array.isArray(value) ? value[0] : value) ?? ''
  }

  /** Every value of a parameter that may be repeated. */
  all(name: string): string[] {
    const value = this.#values[name]
    return value === undefined ? [] : Array.isArray(value) ? value : [value]
  }

  has(name: string): boolean {
    return this.#values[name] !== undefined
  }

  /** Docker's: everything but these words (and nothing at all) is true. */
  flag(name: string, whenAbsent = false): boolean {
    if (!this.has(name)) return whenAbsent
    return !['', '0', 'no', 'false', 'none'].includes(this.text(name).trim().toLowerCase())
  }

  /** A whole number; undefined when absent or empty. 400 for anything else. */
  integer(name: string): number | undefined {
    const text = this.text(name)
    if (text === '') return undefined
    if (!/^[+-]?\d+$/.test(text)) throw badRequest(`strconv.Atoi: parsing "${text}": invalid syntax`)
    return Number(text)
  }
}
