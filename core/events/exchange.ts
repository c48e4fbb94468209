import { invalidArgument, messageOf } from '#api/errors/errors.ts'
import { parseFilters } from '#api/filters/filters.ts'
import type { Any } from '#api/gen/google/protobuf/any.ts'
import { validateIdentifier } from '#api/types/identifiers.ts'
import { now } from '#core/metadata/metadata.ts'
import type { Envelope, EventExchange } from './events.ts'
import { Subscription } from './subscription.ts'

/** The event bus of one daemon, in memory. */
export class Exchange implements EventExchange {
  readonly #subscriptions = new Set<Subscription>()

  publish(namespace: string, topic: string, event: Any): void {
    validateIdentifier(namespace, 'event envelope has invalid namespace')
    validateTopic(topic)
    this.#send({ timestamp: now(), namespace, topic, event })
  }

  forward(envelope: Envelope): void {
    validateIdentifier(envelope.namespace, 'event envelope has invalid namespace')
    validateTopic(envelope.topic)
    if (envelope.timestamp === undefined) throw invalidArgument('timestamp must be set on forwarded event')
    this.#send(envelope)
  }

  subscribe(filters: readonly string[] = [], signal?: AbortSignal): AsyncIterable<Envelope> {
    const matches = filters.length === 0 ? undefined : parseFilters(filters)
    const subscription = new Subscription(matches, signal, ended => this.#subscriptions.delete(ended))
    if (!subscription.closed) this.#subscriptions.add(subscription)
    return subscription
  }

  #send(envelope: Envelope): void {
    for (const subscription of this.#subscriptions) subscription.push(envelope)
  }
}

function validateTopic(topic: string): void {
  const refused = (why: string) => invalidArgument(`envelope topic "${topic}": ${why}`)
  if (topic === '') throw refused('must not be empty')
  if (!topic.startsWith('/')) throw refused("must start with '/'")
  if (topic === '/') throw refused('must have at least one component')
  for (const component of topic.slice(1).split('/')) {
    try {
      validateIdentifier(component)
    } catch (cause) {
      const why = messageOf(cause)
      throw invalidArgument(`envelope topic "${topic}": failed validation on component "${component}": ${why}`, {
        bare: true,
        cause,
      })
    }
  }
}
