import { ContainerConfig, type ContainersServiceDefinition } from '#api/gen/gantry/services/containers/v1/containers.ts'
import type { ServiceImpl } from '#api/rpc/server.ts'
import type { Launcher } from './launch.ts'

/** gantry.services.containers.v1.ContainersService. */
export function launchService(launcher: Launcher): ServiceImpl<typeof ContainersServiceDefinition> {
  return {
    create: ({ config, extensions }, { namespace, signal }) =>
      launcher.create(namespace, config ?? ContainerConfig.fromPartial({}), extensions, signal),
    inspect: ({ id, execId }, { namespace }) => launcher.inspect(namespace, id, execId),
    list: async (_, { namespace }) => ({ containers: await launcher.list(namespace) }),
    async *changes({ since, again }, { namespace }) {
      for await (const { mark, isComplete, ...part } of launcher.changes(namespace, since, again))
        yield { ...part, now: mark, complete: isComplete }
    },
    update: async ({ id, config, extensions, name }, { namespace, signal }) => ({
      warnings: await launcher.update(namespace, id, { config, extensions, name }, signal),
    }),
  }
}
