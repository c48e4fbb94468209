import { invalidArgument } from '#api/errors/errors.ts'
import type { EventsDefinition } from '#api/gen/containerd/services/events/ttrpc/v1/events.ts'
import type { ServiceImpl } from '#api/rpc/server.ts'
import type { EventExchange } from '#core/events/events.ts'

/** containerd.services.events.ttrpc.v1.Events, on `<address>.ttrpc`: what the shims have to tell. */
export function shimEventsService(exchange: EventExchange): ServiceImpl<typeof EventsDefinition> {
  return {
    async forward({ envelope }) {
      if (!envelope) throw invalidArgument('envelope must be set')
      exchange.forward(envelope)
      return {}
    },
  }
}
