/** A network plugin's service, reached through the supervisor. */
import { NetworkPluginServiceDefinition } from '#api/gen/gantry/network/v1/network.ts'
import { type CallOptions, type Channel, type Client, createClient } from '#api/rpc/client.ts'
import type { MethodDefinition } from '#api/rpc/definition.ts'
import type { Plugins } from './plugins.ts'

type NetworkClient = Client<typeof NetworkPluginServiceDefinition>

/**
 * The client of network plugin `id`. Every verb of the contract is idempotent, so one that meets the process dying is
 * simply repeated, once.
 */
export function networkClient(plugins: Pick<Plugins, 'call'>, id: string): NetworkClient {
  const methods: Record<string, MethodDefinition> = NetworkPluginServiceDefinition.methods
  const callers = Object.entries(methods).map(([key, method]) => {
    if (method.requestStream || method.responseStream)
      throw new TypeError(`${method.name} streams: it cannot be repeated`)
    return [
      key,
      (request: unknown, options?: CallOptions) =>
        plugins.call('network', id, method.name, channel => unary(channel, key)(request, options)),
    ]
  })
  return Object.fromEntries(callers)
}

type Unary = (request: unknown, options?: CallOptions) => Promise<unknown>

function unary(channel: Channel, key: string): Unary {
  const client: Record<string, unknown> = createClient(NetworkPluginServiceDefinition, channel)
  return client[key] as Unary
}
