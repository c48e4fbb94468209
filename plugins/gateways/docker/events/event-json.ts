/** An event as a line of `/events`, made once for all who listen. */
import { type ApiVersion, atLeast } from '../http/api-version.ts'
import type { LoggedEvent } from './event-log.ts'

/** Until 1.51 events had members of an older form. */
type Form = 'old' | 'new'

const made = new WeakMap<LoggedEvent, Partial<Record<Form, string>>>()

/** With the newline. */
export function eventLine(event: LoggedEvent, version: ApiVersion): string {
  const form: Form = atLeast(version, '1.52') ? 'new' : 'old'
  let lines = made.get(event)
  if (!lines) {
    lines = {}
    made.set(event, lines)
  }
  lines[form] ??= `${eventJson(event, form)}\n`
  return lines[form]
}

/** Nanoseconds do not fit a number of JavaScript, so that member is written by hand. */
function eventJson({ timeNano, Type, Action, Actor, scope }: LoggedEvent, form: Form): string {
  const hasStatus = form === 'old' && (Type === 'container' || Type === 'image')
  const from = Type === 'container' ? { from: Actor.Attributes.image ?? '' } : {}
  const old = hasStatus ? { status: Action, id: Actor.ID, ...from } : {}
  const event = { ...old, Type, Action, Actor, scope, time: Number(timeNano / 1_000_000_000n) }
  return `${JSON.stringify(event).slice(0, -1)},"timeNano":${timeNano}}`
}
