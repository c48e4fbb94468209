import type { StringMap } from './records.ts'

/** A map as it is stored: an empty value means the key is absent. */
export function withoutEmpty(map: StringMap): StringMap {
  return Object.fromEntries(Object.entries(map).filter(([, value]) => value !== ''))
}

/**
 * One path of a field mask applied to a map: `<field>` takes all of `given`, `<field>.<key>` one key of it (absent:
 * removed). Undefined when the path is about something else.
 */
export function applyMapPath<V>(
  path: string,
  field: string,
  current: Readonly<Record<string, V>>,
  given: Readonly<Record<string, V>>,
): Readonly<Record<string, V>> | undefined {
  if (path === field) return given
  if (!path.startsWith(`${field}.`)) return undefined
  const key = path.slice(field.length + 1)
  const { [key]: _old, ...rest } = current
  const value = Object.hasOwn(given, key) ? given[key] : undefined
  return value === undefined ? rest : { ...rest, [key]: value }
}
