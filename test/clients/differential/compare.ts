/** Where two answers differ. */
import type { Plain } from './normalise.ts'

export interface Difference {
  /** Of the endpoint. */
  kind: string
  /** `status`, or the place in the body, such as `.Config.Labels`. */
  at: string
  theirs: unknown
  ours: unknown
}

export function compare(kind: string, theirs: Plain, ours: Plain): Difference[] {
  if (theirs.status !== ours.status) return [{ kind, at: 'status', theirs: told(theirs), ours: told(ours) }]
  if (theirs.body === undefined || ours.body === undefined) return []
  return [...differences(theirs.body, ours.body, '')].map(difference => ({ kind, ...difference }))
}

const told = ({ status, body }: Plain) => `${status} ${messageOf(body)}`
const messageOf = (body: unknown): string =>
  typeof body === 'object' && body !== null && 'message' in body ? String(body.message) : ''

function* differences(theirs: unknown, ours: unknown, at: string): Generator<Omit<Difference, 'kind'>> {
  if (Object.is(theirs, ours)) return
  if (isObject(theirs) && isObject(ours)) {
    for (const name of new Set([...Object.keys(theirs), ...Object.keys(ours)]))
      yield* differences(theirs[name], ours[name], `${at}.${name}`)
    return
  }
  if (Array.isArray(theirs) && Array.isArray(ours) && theirs.length === ours.length) {
    for (const [index, item] of theirs.entries()) yield* differences(item, ours[index], `${at}[]`)
    return
  }
  yield { at: at === '' ? '.' : at, theirs, ours }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
