/** The `filters` parameter: `{"label":{"x":true}}` of newer clients, `{"label":["x"]}` of older ones. */
import { badRequest } from './http-error.ts'
import type { Query } from './query.ts'

/** Values by filter name. An empty text means no filters. 400 when it is not of one of the two forms. */
export class Filters {
  readonly #values: ReadonlyMap<string, readonly string[]>

  private constructor(values: ReadonlyMap<string, readonly string[]>) {
    this.#values = values
  }

  /** 400, as Docker: for names that the endpoint does not know. */
  static read(query: Query, known: readonly string[]): Filters {
    const filters = new Filters(parse(query.text('filters')))
    const stranger = [...filters.#values.keys()].find(name => !known.includes(name))
    if (stranger !== undefined) throw badRequest(`invalid filter '${stranger}'`)
    return filters
  }

  has(name: string): boolean {
    return this.#values.has(name)
  }

  values(name: string): readonly string[] {
    return this.#values.get(name) ?? []
  }

  /** Whether nothing was asked, or one of the values fits. */
  some(name: string, fits: (value: string) => boolean): boolean {
    return !this.has(name) || this.values(name).some(fits)
  }

  /** Whether every value fits: of labels all must be there. */
  every(name: string, fits: (value: string) => boolean): boolean {
    return this.values(name).every(fits)
  }

  /** A filter that is one boolean; undefined when it was not asked. 400 for any other word. */
  flag(name: string): boolean | undefined {
    const [value] = this.values(name)
    if (value === undefined) return undefined
    if (['1', 'true', 't', 'T', 'True', 'TRUE'].includes(value)) return true
    if (['0', 'false', 'f', 'F', 'False', 'FALSE'].includes(value)) return false
    throw badRequest(`invalid filter '${name}=[${this.values(name).join(' ')}]'`)
  }
}

/** Whether `labels` have what a filter value ("key" or "key=value") asks. */
export function hasLabel(labels: Readonly<Record<string, string>>, wanted: string): boolean {
  const equals = wanted.indexOf('=')
  if (equals < 0) return wanted in labels
  return labels[wanted.slice(0, equals)] === wanted.slice(equals + 1)
}

function parse(text: string): Map<string, string[]> {
  if (text === '') return new Map()
  try {
    const raw: unknown = JSON.parse(text)
    if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) throw new Error('not an object')
    return new Map(Object.entries(raw).map(([name, values]) => [name, valuesOf(values)]))
  } catch (cause) {
    throw badRequest('invalid filter', { cause })
  }
}

function valuesOf(values: unknown): string[] {
  if (Array.isArray(values) && values.every(value => typeof value === 'string')) return values
  if (typeof values !== 'object' || values === null || Array.isArray(values)) throw new Error('no list of values')
  return Object.entries(values).flatMap(([value, wanted]) => (wanted === true ? [value] : []))
}
