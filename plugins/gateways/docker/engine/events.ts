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
  /** Of what happens too often to be written down: tells those who listen now. Never throws. */
  tell(events: readonly EngineEvent[]): void
  /** Called when somebody begins to listen for what is only told, and when nobody does any more. */
  onDemand(callback: (isWanted: boolean) => void): void
}
