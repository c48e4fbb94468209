/**
 * Events: what happened to the daemon's objects, told to whoever listens at that moment.
 *
 * An event is a protobuf message with an address: when, in which tenant namespace, on which *topic*
 * (a slash-led path such as `/images/create`). The exchange keeps no history. A subscriber sees every
 * matching event published after {@link EventExchange.subscribe} returned, in the order of publishing,
 * without gaps; each subscriber has a queue of its own, so a slow one delays nobody.
 *
 * An event is published after the change it tells of is durable, never before. A crash between the two
 * loses the event, not the change: a client that must know the state reads it again after it reconnects.
 *
 * Topics: `/namespaces/{create,update,delete}`, `/content/{create,delete}`, `/images/{create,update,delete}`,
 * `/snapshot/{prepare,commit,remove}`, `/containers/{create,update,delete}`, and `/tasks/...` from the shims.
 */
import type { Envelope } from '#api/gen/containerd/types/event.ts'
import type { Any } from '#api/gen/google/protobuf/any.ts'

export type { Envelope } from '#api/gen/containerd/types/event.ts'

/** What publishers need: one call, no knowledge of subscribers. */
export interface EventPublisher {
  /**
   * Publishes `event` in `namespace`, stamped now.
   * Throws INVALID_ARGUMENT for a bad namespace or topic (each part of a topic is an identifier).
   */
  publish(namespace: string, topic: string, event: Any): void
}

/** The daemon's event bus. */
export interface EventExchange extends EventPublisher {
  /** Publishes an envelope made elsewhere (a shim's) as it is. INVALID_ARGUMENT without a namespace, topic or time. */
  forward(envelope: Envelope): void

  /**
   * Every event from now on that matches one of `filters` (fields `namespace`, `topic`, `event.<field path>`);
   * no filter means all events of all tenant namespaces. Registered before this returns.
   *
   * Ends without an error when `signal` fires or the consumer leaves its loop. Throws INVALID_ARGUMENT for a bad
   * filter, and RESOURCE_EXHAUSTED out of the iteration when the consumer fell 100 000 events behind.
   */
  subscribe(filters?: readonly string[], signal?: AbortSignal): AsyncIterable<Envelope>
}

export { eventAny } from './event-any.ts'
export { Exchange } from './exchange.ts'
export { eventsService, ttrpcEventsService } from './service.ts'
