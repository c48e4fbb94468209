/** gantry.services.plugins.v1: the plugin table for tools. */
import { PluginState, type PluginsServiceDefinition } from '#api/gen/gantry/services/plugins/v1/plugins.ts'
import type { ServiceImpl } from '#api/rpc/definition.ts'
import type { PluginStatus, Plugins, PluginState as State } from './plugins.ts'

const states: Readonly<Record<State, PluginState>> = {
  idle: PluginState.PLUGIN_STATE_IDLE,
  starting: PluginState.PLUGIN_STATE_STARTING,
  ready: PluginState.PLUGIN_STATE_READY,
  'back-off': PluginState.PLUGIN_STATE_BACKOFF,
  failed: PluginState.PLUGIN_STATE_FAILED,
  stopped: PluginState.PLUGIN_STATE_STOPPED,
}

export function pluginsService(plugins: Pick<Plugins, 'list'>): ServiceImpl<typeof PluginsServiceDefinition> {
  return {
    async list() {
      return { plugins: plugins.list().map(toWire) }
    },
  }
}

function toWire({ state, startedAtMs, capabilities, exports, ...rest }: PluginStatus) {
  return {
    ...rest,
    state: states[state],
    capabilities: [...capabilities],
    exports: { ...exports },
    startedAt: startedAtMs === undefined ? undefined : timestamp(startedAtMs),
  }
}

function timestamp(ms: number): { seconds: bigint; nanos: number } {
  return { seconds: BigInt(Math.floor(ms / 1000)), nanos: (ms % 1000) * 1_000_000 }
}
