import { failedPrecondition, invalidArgument, isGantryError, messageOf } from '#api/errors/errors.ts'
import type { EventsDefinition as TtrpcEventsDefinition } from '#api/gen/containerd/services/events/ttrpc/v1/events.ts'
import type { EventsDefinition } from '#api/gen/containerd/services/events/v1/events.ts'
import type { Any } from '#api/gen/google/protobuf/any.ts'
import type { CallContext, ServiceImpl } from '#api/rpc/server.ts'
import type { Envelope, EventExchange } from './events.ts'

const noEvent: Any = { typeUrl: '', value: Buffer.alloc(0) }

/** containerd.services.events.v1.Events. */
export function eventsService(events: EventExchange): ServiceImpl<typeof EventsDefinition> {
  return {
    async publish({ topic, event }, context) {
      events.publish(publisherNamespace(context), topic, event ?? noEvent)
      return {}
    },
    async forward({ envelope }) {
      events.forward(required(envelope))
      return {}
    },
    subscribe: ({ filters }, { signal }) => events.subscribe(filters, signal),
  }
}

/** containerd.services.events.ttrpc.v1.Events: what foreign shims publish to. */
export function ttrpcEventsService(events: EventExchange): ServiceImpl<typeof TtrpcEventsDefinition> {
  return {
    async forward({ envelope }) {
      events.forward(required(envelope))
      return {}
    },
  }
}

/** containerd's message names the act when the namespace is missing. */
function publisherNamespace(context: CallContext): string {
  try {
    return context.namespace
  } catch (cause) {
    if (!isGantryError(cause, 'FAILED_PRECONDITION')) throw cause
    throw failedPrecondition(`failed publishing event: ${messageOf(cause)}`, { bare: true, cause })
  }
}

function required(envelope: Envelope | undefined): Envelope {
  if (envelope === undefined) throw invalidArgument('envelope must be set')
  return envelope
}
