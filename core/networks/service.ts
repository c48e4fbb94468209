import { invalidArgument } from '#api/errors/errors.ts'
import type { Endpoint, NetworksServiceDefinition } from '#api/gen/gantry/services/networks/v1/networks.ts'
import type { Input } from '#api/rpc/definition.ts'
import type { ServiceImpl } from '#api/rpc/server.ts'
import type { Connections } from './connections.ts'
import type { AttachmentRequest, Networks } from './networks.ts'

/** gantry.services.networks.v1.NetworksService. */
export function networksService(
  networks: Networks,
  connections: Connections,
  gc: (dryRun: boolean) => Promise<string[]>,
): ServiceImpl<typeof NetworksServiceDefinition> {
  return {
    async create(spec, { namespace }) {
      return { network: await networks.create(namespace, spec) }
    },
    async get({ network }, { namespace }) {
      return { network: await networks.get(namespace, named(network)) }
    },
    async list(_, { namespace }) {
      return { networks: await networks.list(namespace) }
    },
    async remove({ network }, { namespace }) {
      await networks.remove(namespace, named(network))
      return {}
    },
    async connect({ containerId, endpoint }, { namespace }) {
      if (endpoint === undefined) throw invalidArgument('endpoint is missing: say which network to connect to')
      named(endpoint.network)
      return { attachment: await connections.connect(namespace, container(containerId), endpoint) }
    },
    async disconnect({ containerId, network, force }, { namespace }) {
      await connections.disconnect(namespace, container(containerId), named(network), force)
      return {}
    },
    async publish({ containerId, network, ports }, { namespace }) {
      const id = await connections.idOf(namespace, container(containerId))
      return { ports: await networks.publish(namespace, id, network || undefined, ports) }
    },
    async unpublish({ containerId, network, ports }, { namespace }) {
      const id = await connections.idOf(namespace, container(containerId))
      return { ports: await networks.unpublish(namespace, id, network || undefined, ports) }
    },
    async setOptions({ containerId, network, options }, { namespace }) {
      const changed = await connections.setOptions(namespace, container(containerId), network || undefined, options)
      return { endpoints: changed.map(endpointOf) }
    },
    async gc({ dryRun }) {
      return { removed: await gc(dryRun) }
    },
    async trace({ containerId, destination, protocol, port }, { namespace }) {
      const id = await connections.idOf(namespace, container(containerId))
      return await networks.trace(namespace, id, { destination, protocol: protocol || 'tcp', port })
    },
    async check({ network }, { namespace }) {
      return { problems: await networks.check(namespace, named(network)) }
    },
  }
}

function endpointOf({ addresses = [], aliases = [], ports = [], ...rest }: AttachmentRequest): Input<Endpoint> {
  return { ...rest, addresses: [...addresses], aliases: [...aliases], ports: [...ports] }
}

function named(network: string): string {
  if (network === '') throw invalidArgument('network is missing: give its name or id')
  return network
}

function container(id: string): string {
  if (id === '') throw invalidArgument('container_id is missing: give its id or name')
  return id
}
