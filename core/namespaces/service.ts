import { invalidArgument } from '#api/errors/errors.ts'
import type { NamespacesDefinition } from '#api/gen/containerd/services/namespaces/v1/namespaces.ts'
import type { ServiceImpl } from '#api/rpc/server.ts'
import type { Namespace, Namespaces } from './namespaces.ts'

/** containerd.services.namespaces.v1.Namespaces. Needs no namespace header. */
export function namespacesService(namespaces: Namespaces): ServiceImpl<typeof NamespacesDefinition> {
  return {
    async get({ name }) {
      return { namespace: { name, labels: await namespaces.labels(name) } }
    },
    async list() {
      return { namespaces: await namespaces.list() }
    },
    async create({ namespace }) {
      return { namespace: await namespaces.create(required(namespace)) }
    },
    async update({ namespace, updateMask }) {
      return { namespace: await namespaces.update(required(namespace), updateMask) }
    },
    async delete({ name }) {
      await namespaces.delete(name)
      return {}
    },
  }
}

function required(namespace: Namespace | undefined): Namespace {
  if (namespace === undefined) throw invalidArgument('namespace must be set')
  return namespace
}
