/**
 * A network plugin as a value:
 *
 *     export const none = defineNetwork({ id: 'none', version: '1.0.0', create: async () => new NoneNetwork() })
 *     // main.ts: await serve(none)
 *     // test:    networkSuite('none', { open: root => openNetworkPlugin(none, { root }), ownNamespace: true })
 */
import { join } from 'node:path'
import { createLogger } from '#api/log/log.ts'
import type { NetworkPlugin } from './network.ts'
import { networkService } from './network-service.ts'
import type { PluginDefinition, PluginEnv } from './plugin.ts'
import type { StepHook } from './step-hook.ts'

/** What a network plugin is made from. */
export interface NetworkEnv<Config> extends PluginEnv<Config> {
  /** To be called where a crash could part two acts. */
  readonly step: StepHook
}

export interface NetworkDefinition<Config> {
  readonly id: string
  readonly version: string
  /** Words such as `port-map`, `ipv6`. */
  readonly capabilities?: readonly string[]
  readonly configSchema?: object
  /** See {@link PluginDefinition.parseConfig}; absent: it takes no configuration and ignores the table. */
  parseConfig?(raw: unknown): Config
  create(env: NetworkEnv<Config>): Promise<NetworkPlugin>
}

/** A defined network plugin: ready for `serve`, and still able to make a bare {@link NetworkPlugin}. */
export interface DefinedNetwork<Config> extends PluginDefinition<Config> {
  createNetworkPlugin(env: PluginEnv<Config>, step?: StepHook): Promise<NetworkPlugin>
}

export function defineNetwork<Config = unknown>(definition: NetworkDefinition<Config>): DefinedNetwork<Config> {
  const { id, version, capabilities = [], configSchema } = definition
  const createNetworkPlugin = (env: PluginEnv<Config>, step: StepHook = () => {}) => definition.create({ ...env, step })
  return {
    kind: 'network',
    id,
    version,
    capabilities,
    ...(configSchema && { configSchema }),
    parseConfig: raw => (definition.parseConfig ? definition.parseConfig(raw) : (raw as Config)),
    createNetworkPlugin,
    async create(env) {
      const plugin = await createNetworkPlugin(env)
      return { services: [networkService(plugin)], exports: { root: env.root }, close: () => plugin.close() }
    },
  }
}

/** A network plugin without a process around it, for tests and tools; `config` is the raw table. */
export function openNetworkPlugin<Config>(
  plugin: DefinedNetwork<Config>,
  {
    root,
    instance = '00000001',
    config = {},
    step,
  }: { root: string; instance?: string; config?: unknown; step?: StepHook },
): Promise<NetworkPlugin> {
  const { kind, id } = plugin
  const log = createLogger({ name: `${kind}/${id}`, level: 'silent' })
  const place = { root, state: join(root, 'state'), instance, draining: new AbortController().signal }
  return plugin.createNetworkPlugin({ kind, id, log, ...place, config: plugin.parseConfig(config) }, step)
}
