/** A container as an event's actor. */
import type { EngineEvents } from '../engine/events.ts'
import type { Found } from './store.ts'

export function publishContainerEvent(
  events: EngineEvents,
  { id, name, record }: Pick<Found, 'id' | 'name' | 'record'>,
  action: string,
  attributes: Readonly<Record<string, string>> = {},
): void {
  const { Image, Labels } = record.config
  events.publish({
    type: 'container',
    action,
    actor: { id, attributes: { ...Labels, image: Image, name, ...attributes } },
  })
}
