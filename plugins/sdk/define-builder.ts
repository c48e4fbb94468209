/**
 * A builder as a value: a plugin that makes images by calling the core, and serves `gantry.services.builder.v1` on its
 * plugin socket. It starts at its first use: clients ask `PluginsService.Reach` where it is.
 *
 *     export const dockerfile = defineBuilder({ id: 'dockerfile', version: '1.0.0', create: async env => ({ service: …, close }) })
 *     // main.ts: await serve(dockerfile)
 */
import { BuilderServiceDefinition } from '#api/gen/gantry/services/builder/v1/builder.ts'
import type { ServiceImpl } from '#api/rpc/definition.ts'
import { type CommonDefinition, coreAddress, definePlugin } from './core-caller.ts'
import { type PluginDefinition, type PluginEnv, service } from './plugin.ts'

/** `coreAddress`: unix socket of the core's gRPC API (`GANTRY_CORE_ADDRESS`). */
export type BuilderEnv<Config> = PluginEnv<Config> & { readonly coreAddress: string }

/** A builder at work. */
export interface Builder {
  readonly service: ServiceImpl<typeof BuilderServiceDefinition>
  /** Called once, after the last call has ended. */
  close(): Promise<void>
}

export interface BuilderDefinition<Config> extends CommonDefinition<Config> {
  create(env: BuilderEnv<Config>): Promise<Builder>
}

export function defineBuilder<Config = unknown>(definition: BuilderDefinition<Config>): PluginDefinition<Config> {
  return definePlugin('builder', definition, async env => {
    const builder = await definition.create({ ...env, coreAddress: coreAddress() })
    return { services: [service(BuilderServiceDefinition, builder.service)], close: () => builder.close() }
  })
}
