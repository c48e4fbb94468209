/** The `filters` of `/events`. */
import { Filters, hasLabel } from '../http/filters.ts'
import type { Query } from '../http/query.ts'
import type { LoggedEvent } from './event-log.ts'

const known = [
  ...['config', 'container', 'daemon', 'event', 'image', 'label', 'network', 'node', 'plugin', 'scope', 'secret'],
  ...['service', 'type', 'volume'],
]

export interface EventFilter {
  fits(event: LoggedEvent): boolean
  /** Whether what execs do may fit: of health probes that is only told to those who want it. */
  curious: boolean
}

/** 400 for a filter nobody knows. */
export function eventFilter(query: Query): EventFilter {
  const filters = Filters.read(query, known)
  const curious =
    filters.some('type', wanted => wanted === 'container') &&
    filters.some('event', wanted => wanted.startsWith('exec_'))
  return { curious, fits: fitting(filters) }
}

function fitting(filters: Filters): EventFilter['fits'] {
  return event =>
    filters.some('event', wanted => isAction(event, wanted)) &&
    filters.some('type', wanted => event.Type === wanted) &&
    filters.some('scope', wanted => event.scope === wanted) &&
    filters.every('label', wanted => hasLabel(event.Actor.Attributes, wanted)) &&
    objectTypes.every(type => filters.some(type, wanted => isAbout(event, type, wanted))) &&
    filters.some('image', wanted => isAboutImage(event, wanted))
}

const objectTypes = [
  'container',
  'daemon',
  'network',
  'volume',
  'plugin',
  'service',
  'node',
  'secret',
  'config',
] as const

/** `exec_create` fits `exec_create: sh -c true`, `health_status` fits `health_status: healthy`. */
function isAction({ Action }: LoggedEvent, wanted: string): boolean {
  return Action === wanted || Action.startsWith(`${wanted}:`)
}

/** By id, the beginning of it, or name. */
function isAbout({ Type, Actor }: LoggedEvent, type: string, wanted: string): boolean {
  return Type === type && (Actor.ID.startsWith(wanted) || Actor.Attributes.name === wanted)
}

/** Also what containers of the image do; with or without the tag. */
function isAboutImage({ Type, Actor }: LoggedEvent, wanted: string): boolean {
  const name = Type === 'image' ? (Actor.Attributes.name ?? '') : (Actor.Attributes.image ?? '')
  return [Actor.ID, name, withoutTag(Actor.ID), withoutTag(name)].some(text => text === wanted && text !== '')
}

function withoutTag(name: string): string {
  return name.replace(/:[^:/]*$/, '')
}
