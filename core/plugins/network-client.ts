/** A network plugin's service, reached through the supervisor. */
import { NetworkPluginServiceDefinition } from '#api/gen/gantry/network/v1/network.ts'
import { type CallOptions, type Channel, type Client, createClient } from '#api/rpc/client.ts'
import type { MethodDefinition } from '#api/rpc/definition.ts'
import type { Plugins } from './plugins.ts'
import { callTwice } from './retry.ts'

type NetworkClient = Client<typeof NetworkPluginServiceDefinition>

/**
 * The client of network plugin `id`. Every verb of the contract is idempotent, so one that meets the process dying is
 * simply repeated, once.
 */
export function networkClient(plugins: Pick<Plugins, 'channelFor' | 'suspect'>, id: string): NetworkClient {
  const ref = { plugins, kind: 'network', id } as const
  const methods: Record<string, MethodDefinition> = NetworkPluginServiceDefinition.methods
  const callers = Object.entries(methods).map(([key, method]) => {
    if (method.requestStream || method.responseStream)
      throw new TypeError(`${method.name} streams: it cannot be repeated`)
    return [
      key,
      (request: unknown, options?: CallOptions) => callTwice(ref, channel => unary(channel, key)(request, options)),
    ]
  })
  return Object.fromEntries(callers)
}

type Unary = (request: unknown, options?: CallOptions) => Promise<unknown>
const clients = new WeakMap<Channel, Record<string, unknown>>()

function unary(channel: Channel, key: string): Unary {
  const client = clients.get(channel) ?? createClient(NetworkPluginServiceDefinition, channel)
  clients.set(channel, client)
  return client[key as keyof typeof client] as Unary
}
