/** A container as an event's actor. */
import type { EngineEvent, EngineEvents } from '../engine/events.ts'
import type { Found } from './store.ts'

export function publishContainerEvent(
  events: EngineEvents,
  container: Pick<Found, 'id' | 'name' | 'record'>,
  action: string,
  attributes: Readonly<Record<string, string>> = {},
): void {
  events.publish({ type: 'container', action, actor: containerActor(container, attributes) })
}

export function containerActor(
  { id, name, record }: Pick<Found, 'id' | 'name' | 'record'>,
  attributes: Readonly<Record<string, string>>,
): EngineEvent['actor'] {
  const { Image, Labels } = record.config
  return { id, attributes: { ...Labels, image: Image, name, ...attributes } }
}
