import { invalidArgument } from '#api/errors/errors.ts'
import type { LeasesDefinition } from '#api/gen/containerd/services/leases/v1/leases.ts'
import type { ServiceImpl } from '#api/rpc/server.ts'
import { refusedFilter } from '#core/metadata/metadata.ts'
import type { LeaseResource, Leases } from './leases.ts'

/** containerd.services.leases.v1.Leases. */
export function leasesService(leases: Leases): ServiceImpl<typeof LeasesDefinition> {
  return {
    async create({ id, labels }, { namespace }) {
      return { lease: await leases.create(namespace, { id, labels }) }
    },
    async delete({ id, sync }, { namespace }) {
      await leases.delete(namespace, id, { sync })
      return {}
    },
    async list({ filters }, { namespace }) {
      return { leases: await leases.list(namespace, filters).catch(refusedFilter) }
    },
    async addResource({ id, resource }, { namespace }) {
      await leases.addResource(namespace, id, required(resource))
      return {}
    },
    async deleteResource({ id, resource }, { namespace }) {
      await leases.deleteResource(namespace, id, required(resource))
      return {}
    },
    async listResources({ id }, { namespace }) {
      return { resources: await leases.listResources(namespace, id) }
    },
  }
}

function required(resource: LeaseResource | undefined): LeaseResource {
  if (resource === undefined) throw invalidArgument('resource must be set')
  return resource
}
