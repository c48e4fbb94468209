import { invalidArgument } from '#api/errors/errors.ts'
import type { StoreDefinition } from '#api/gen/containerd/services/sandbox/v1/sandbox.ts'
import type { Sandbox as WireSandbox } from '#api/gen/containerd/types/sandbox.ts'
import type { ServiceImpl } from '#api/rpc/server.ts'
import type { Sandbox, Sandboxes, SandboxSpec } from './sandboxes.ts'

/** containerd.services.sandbox.v1.Store. */
export function sandboxStoreService(sandboxes: Sandboxes): ServiceImpl<typeof StoreDefinition> {
  return {
    async create({ sandbox }, { namespace }) {
      return { sandbox: wireSandbox(await sandboxes.create(namespace, specOf(sandbox))) }
    },
    async update({ sandbox, fields }, { namespace }) {
      return { sandbox: wireSandbox(await sandboxes.update(namespace, specOf(sandbox), fields)) }
    },
    async delete({ sandboxId }, { namespace }) {
      await sandboxes.delete(namespace, sandboxId)
      return {}
    },
    async list({ filters }, { namespace }) {
      return { list: (await sandboxes.list(namespace, filters)).map(wireSandbox) }
    },
    async get({ sandboxId }, { namespace }) {
      return { sandbox: wireSandbox(await sandboxes.get(namespace, sandboxId)) }
    },
  }
}

/** INVALID_ARGUMENT without one. */
export function specOf(sandbox: WireSandbox | undefined): SandboxSpec {
  if (sandbox === undefined) throw invalidArgument('sandbox must be set')
  const { sandboxId: id, runtime = { name: '', options: undefined }, spec, labels, extensions, sandboxer } = sandbox
  return { id, runtime, spec, labels, extensions, sandboxer }
}

function wireSandbox({ id, labels, extensions, ...rest }: Sandbox) {
  return { ...rest, sandboxId: id, labels: { ...labels }, extensions: { ...extensions } }
}
