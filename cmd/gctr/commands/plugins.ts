/** `plugins ls|inspect|logs|trace`: looking at plugins. */
import { invalidArgument } from '#api/errors/errors.ts'
import { PluginState, PluginsServiceDefinition } from '#api/gen/gantry/services/plugins/v1/plugins.ts'
import { printJson, printJsonLine } from '../output/json.ts'
import { printRecords } from '../output/table.ts'
import { formatAge, formatBytes, formatTime, parseSince } from '../output/units.ts'
import type { Session } from '../session.ts'

/** A plugin as users name it: `overlayfs`, or `snapshotter/overlayfs`. */
export function parseName(name: string): { kind: string; id: string } {
  const [kind = '', id] = name.split('/', 2)
  return id === undefined ? { kind: '', id: kind } : { kind, id }
}

export async function list(session: Session): Promise<void> {
  const { plugins, faults } = await session.client(PluginsServiceDefinition).list({})
  const records = plugins.map(plugin => ({ ...plugin, state: stateName(plugin.state) }))
  printRecords(
    records,
    {
      KIND: ({ kind }) => kind,
      ID: ({ id }) => id,
      STATE: ({ state, breaker }) => (breaker === '' ? state : `${state} (no answer)`),
      VERSION: ({ version }) => version,
      PID: ({ pid }) => pid || '',
      MEMORY: ({ memoryBytes }) => (memoryBytes === 0n ? '' : formatBytes(memoryBytes)),
      RESTARTS: ({ restarts }) => restarts,
      CALLS: ({ calls }) => Number(calls?.total ?? 0n),
      ERRORS: ({ calls }) => Number(calls?.errors ?? 0n),
      'P50/P99': ({ calls }) => (calls?.total ? `${formatMs(calls.p50Ms)}/${formatMs(calls.p99Ms)}` : ''),
      STARTED: ({ startedAt }) => formatAge(startedAt),
      'LAST ERROR': ({ lastError }) => lastError,
    },
    session.json,
  )
  for (const fault of faults) process.stderr.write(`gctr: ${fault}\n`)
}

export async function inspect(session: Session, _flags: unknown, name: string): Promise<void> {
  const { plugin, methods } = await session.client(PluginsServiceDefinition).inspect(parseName(name))
  printJson({ ...plugin, state: stateName(plugin?.state ?? PluginState.PLUGIN_STATE_UNSPECIFIED), methods })
}

interface LogFlags {
  follow?: boolean
  tail: string
  since?: string
}

export async function logs(session: Session, { follow = false, tail, since }: LogFlags, name: string): Promise<void> {
  if (!/^\d+$/.test(tail)) throw invalidArgument(`--tail "${tail}" is no number of lines`)
  const request = {
    ...parseName(name),
    tail: Number(tail),
    follow,
    ...(since && { since: parseSince(since, '--since') }),
  }
  for await (const line of session.client(PluginsServiceDefinition).logs(request)) {
    if (session.json) printJsonLine(line)
    else console.log(`${formatTime(line.writtenAt)} ${line.level.padEnd(5)} ${line.text}`)
  }
}

export async function trace(session: Session, _flags: unknown, name = ''): Promise<void> {
  for await (const call of session.client(PluginsServiceDefinition).trace(parseName(name))) {
    const { startedAt, kind, id, method, durationMs, outcome } = call
    if (session.json) printJsonLine(call)
    else console.log(`${formatTime(startedAt)} ${kind}/${id} ${method} ${formatMs(durationMs)} ${outcome}`)
  }
}

function formatMs(ms: number): string {
  return ms < 10 ? `${ms.toFixed(1)}ms` : ms < 10_000 ? `${Math.round(ms)}ms` : `${Math.round(ms / 1000)}s`
}

export function stateName(state: PluginState): string {
  const name = Object.entries(PluginState).find(([, value]) => value === state)?.[0] ?? 'unknown'
  return name.replace('PLUGIN_STATE_', '').toLowerCase()
}
