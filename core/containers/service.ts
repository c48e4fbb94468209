import { invalidArgument } from '#api/errors/errors.ts'
import type {
  ContainersDefinition,
  Container as WireContainer,
} from '#api/gen/containerd/services/containers/v1/containers.ts'
import type { ServiceImpl } from '#api/rpc/server.ts'
import { refusedFilter } from '#core/metadata/metadata.ts'
import type { ContainerSpec, Containers } from './containers.ts'

/** containerd.services.containers.v1.Containers. */
export function containersService(containers: Containers): ServiceImpl<typeof ContainersDefinition> {
  return {
    async get({ id }, { namespace }) {
      return { container: await containers.get(namespace, id) }
    },
    async list({ filters }, { namespace }) {
      return { containers: await containers.list(namespace, filters).catch(refusedFilter) }
    },
    async *listStream({ filters }, { namespace }) {
      for (const container of await containers.list(namespace, filters).catch(refusedFilter)) yield { container }
    },
    async create({ container }, { namespace }) {
      return { container: await containers.create(namespace, specOf(container)) }
    },
    async update({ container, updateMask }, { namespace }) {
      if (!container?.id) throw invalidArgument('Container.ID required', { bare: true })
      return { container: await containers.update(namespace, specOf(container), updateMask) }
    },
    async delete({ id }, { namespace }) {
      await containers.delete(namespace, id)
      return {}
    },
  }
}

/** What is absent on the wire stays absent here, for the store to refuse in containerd's order and words. */
function specOf(container: WireContainer | undefined): ContainerSpec {
  if (container === undefined) throw invalidArgument('container must be set')
  const { runtime, spec, ...rest } = container
  return { ...rest, runtime: runtime ?? { name: '' }, spec: spec as ContainerSpec['spec'] }
}
