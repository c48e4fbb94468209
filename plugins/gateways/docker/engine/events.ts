/** Docker's events: what happened, as `docker events` tells it. */

export type EventType = 'container' | 'image' | 'network' | 'volume' | 'daemon' | 'plugin' | 'builder'

export interface EngineEvent {
  type: EventType
  /** Such as `start`, `die`, or `exec_create: sh -c true`. */
  action: string
  actor: { id: string; attributes: Readonly<Record<string, string>> }
  /** Default: now. Nanoseconds since 1970. */
  timeNano?: bigint
}

export interface EngineEvents {
  /** Journals an event and tells everybody who listens. Never throws. */
  publish(event: EngineEvent): void
}
