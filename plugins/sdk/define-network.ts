/**
 * A network plugin as a value:
 *
 *     export const none = defineNetwork({ id: 'none', version: '1.0.0', create: async () => new NoneNetwork() })
 *     // main.ts: await serve(none)
 *     // test:    networkSuite('none', …)
 */
import type { NetworkPlugin } from './network.ts'
import { networkService } from './network-service.ts'
import type { PluginDefinition, PluginEnv } from './plugin.ts'

export interface NetworkDefinition<Config> {
  readonly id: string
  readonly version: string
  /** Words such as `port-map`, `ipv6`. */
  readonly capabilities?: readonly string[]
  readonly configSchema?: object
  /** See {@link PluginDefinition.parseConfig}; absent: it takes no configuration and ignores the table. */
  parseConfig?(raw: unknown): Config
  create(env: PluginEnv<Config>): Promise<NetworkPlugin>
}

export function defineNetwork<Config = unknown>(definition: NetworkDefinition<Config>): PluginDefinition<Config> {
  const { id, version, capabilities = [], configSchema } = definition
  return {
    kind: 'network',
    id,
    version,
    capabilities,
    ...(configSchema && { configSchema }),
    parseConfig: raw => (definition.parseConfig ? definition.parseConfig(raw) : (raw as Config)),
    async create(env) {
      const plugin = await definition.create(env)
      return { services: [networkService(plugin)], exports: { root: env.root }, close: () => plugin.close() }
    },
  }
}
