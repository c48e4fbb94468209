import { invalidArgument } from '#api/errors/errors.ts'
import type { NetworksServiceDefinition } from '#api/gen/gantry/services/networks/v1/networks.ts'
import type { ServiceImpl } from '#api/rpc/server.ts'
import type { Networks } from './networks.ts'

/** gantry.services.networks.v1.NetworksService. */
export function networksService(networks: Networks): ServiceImpl<typeof NetworksServiceDefinition> {
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
  }
}

function named(network: string): string {
  if (network === '') throw invalidArgument('network is missing: give its name or id')
  return network
}
