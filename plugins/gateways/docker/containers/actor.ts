/** A container as an event's actor. */
import type { EngineEvent, EngineEvents } from '../engine/events.ts'
import type { KnownRecord } from './known-containers.ts'

/** What is told of a container with each event. */
export interface ContainerActor {
  id: string
  name: string
  record: { config: Pick<KnownRecord['config'], 'Image' | 'Labels'> }
}

export function publishContainerEvent(
  events: EngineEvents,
  container: ContainerActor,
  action: string,
  attributes: Readonly<Record<string, string>> = {},
): void {
  events.publish({ type: 'container', action, actor: containerActor(container, attributes) })
}

export function containerActor(
  { id, name, record }: ContainerActor,
  attributes: Readonly<Record<string, string>>,
): EngineEvent['actor'] {
  const { Image, Labels } = record.config
  return { id, attributes: { ...Labels, image: Image, name, ...attributes } }
}
