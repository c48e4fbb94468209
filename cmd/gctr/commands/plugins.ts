/** `plugins ls`. */
import { PluginState, PluginsServiceDefinition } from '#api/gen/gantry/services/plugins/v1/plugins.ts'
import { printRecords } from '../output/table.ts'
import { formatAge } from '../output/units.ts'
import type { Session } from '../session.ts'

export async function list(session: Session): Promise<void> {
  const { plugins } = await session.client(PluginsServiceDefinition).list({})
  const records = plugins.map(plugin => ({ ...plugin, state: stateName(plugin.state) }))
  printRecords(
    records,
    {
      KIND: ({ kind }) => kind,
      ID: ({ id }) => id,
      STATE: ({ state }) => state,
      PID: ({ pid }) => pid || '',
      RESTARTS: ({ restarts }) => restarts,
      VERSION: ({ version }) => version,
      STARTED: ({ startedAt }) => formatAge(startedAt),
      'LAST ERROR': ({ lastError }) => lastError,
    },
    session.json,
  )
}

function stateName(state: PluginState): string {
  const name = Object.entries(PluginState).find(([, value]) => value === state)?.[0] ?? 'unknown'
  return name.replace('PLUGIN_STATE_', '').toLowerCase()
}
