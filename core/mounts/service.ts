import { invalidArgument } from '#api/errors/errors.ts'
import type { MountsDefinition } from '#api/gen/containerd/services/mounts/v1/mounts.ts'
import type { ServiceImpl } from '#api/rpc/server.ts'
import type { Activation, Mounts } from './mounts.ts'

/** containerd.services.mounts.v1.Mounts. */
export function mountsService(mounts: Mounts): ServiceImpl<typeof MountsDefinition> {
  return {
    async activate({ name, mounts: wished, labels, temporary }, { namespace, lease }) {
      return { info: wireActivation(await mounts.activate(namespace, name, wished, { labels, temporary, lease })) }
    },
    async deactivate({ name }, { namespace }) {
      await mounts.deactivate(namespace, name)
      return {}
    },
    async info({ name }, { namespace }) {
      return { info: wireActivation(await mounts.info(namespace, name)) }
    },
    async update({ info, updateMask }, { namespace }) {
      if (info === undefined) throw invalidArgument('info must be set')
      return { info: wireActivation(await mounts.update(namespace, info, updateMask)) }
    },
    async *list({ filters }, { namespace }) {
      for (const activation of await mounts.list(namespace, filters)) yield { info: wireActivation(activation) }
    },
  }
}

function wireActivation({ name, active, system, labels }: Activation) {
  return {
    name,
    active: active.map(({ mount, data, ...rest }) => ({
      ...rest,
      mount: { ...mount, options: [...mount.options] },
      data: { ...data },
    })),
    system: [...system],
    labels: { ...labels },
  }
}
