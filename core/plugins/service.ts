/** gantry.services.plugins.v1: the plugin table for tools. */
import { failedPrecondition, invalidArgument, messageOf, notFound } from '#api/errors/errors.ts'
import { PluginState, type PluginsServiceDefinition } from '#api/gen/gantry/services/plugins/v1/plugins.ts'
import type { ServiceImpl } from '#api/rpc/definition.ts'
import { timestampOf } from '#api/types/clock.ts'
import type { PluginAdministration, PluginName } from './administration.ts'
import type { CallSummary } from './call-journal.ts'
import { type PluginKind, pluginKinds } from './kinds.ts'
import type { Plugins } from './plugins.ts'
import type { PluginStatus, PluginState as State } from './status.ts'

const states: Readonly<Record<State, PluginState>> = {
  idle: PluginState.PLUGIN_STATE_IDLE,
  starting: PluginState.PLUGIN_STATE_STARTING,
  ready: PluginState.PLUGIN_STATE_READY,
  'back-off': PluginState.PLUGIN_STATE_BACKOFF,
  failed: PluginState.PLUGIN_STATE_FAILED,
  stopped: PluginState.PLUGIN_STATE_STOPPED,
  disabled: PluginState.PLUGIN_STATE_DISABLED,
}

type Administration = Pick<
  PluginAdministration,
  'add' | 'enable' | 'disable' | 'upgrade' | 'rollback' | 'remove' | 'faults'
>

/** The table, and what can be done to it. */
export function pluginsService(
  plugins: Pick<Plugins, 'list' | 'channelFor' | 'methods' | 'logs' | 'trace'>,
  administration: Administration,
): ServiceImpl<typeof PluginsServiceDefinition> {
  const rowOf = ({ kind, id }: PluginName) => {
    const row = plugins.list().find(entry => entry.kind === kind && entry.id === id)
    if (row === undefined) throw notFound(`${kind} plugin "${id}"`)
    return row
  }
  const named = (request: { kind: string; id: string }) => resolve(plugins.list(), request)
  return {
    async list() {
      return { plugins: plugins.list().map(toWire), faults: [...administration.faults] }
    },
    async inspect(request) {
      const name = named(request)
      const methods = plugins.methods(name.kind, name.id)
      return {
        plugin: toWire(rowOf(name)),
        methods: methods.map(({ method, ...summary }) => ({ method, calls: callsOf(summary) })),
      }
    },
    async reach(request) {
      const name = named(request)
      await plugins.channelFor(name.kind, name.id)
      return { address: rowOf(name).address }
    },
    async add({ path, link, configJson }) {
      const name = await administration.add(path, { link, config: parseConfig(configJson) })
      return { plugin: toWire(rowOf(name)) }
    },
    async enable(request) {
      const name = named(request)
      await administration.enable(name)
      return { plugin: toWire(rowOf(name)) }
    },
    async disable(request) {
      const name = named(request)
      await administration.disable(name)
      return { plugin: toWire(rowOf(name)) }
    },
    async upgrade({ kind, id, path, version, link }) {
      const wanted = id === '' ? undefined : named({ kind, id })
      const request = { ...(path !== '' && { path }), ...(version !== '' && { version }), link }
      return { plugin: toWire(rowOf(await administration.upgrade(wanted, request))) }
    },
    async rollback(request) {
      const name = named(request)
      await administration.rollback(name)
      return { plugin: toWire(rowOf(name)) }
    },
    async remove(request) {
      await administration.remove(named(request), { purge: request.purge })
      return {}
    },
    async *logs(request, { signal }) {
      const { kind, id } = named(request)
      const selection = { count: request.tail, ...(request.since && { sinceMs: milliseconds(request.since) }) }
      for await (const { atMs, level, text } of plugins.logs(kind, id, selection, request.follow ? signal : undefined))
        yield { writtenAt: timestampOf(atMs), level, text }
    },
    async *trace({ kind, id }, { signal }) {
      for await (const { startedAtMs, ...record } of plugins.trace(signal))
        if ((kind === '' || record.kind === kind) && (id === '' || record.id === id))
          yield { ...record, startedAt: timestampOf(startedAtMs) }
    },
  }
}

/** An id alone will do where only one kind has it. NOT_FOUND; INVALID_ARGUMENT. */
function resolve(rows: readonly PluginStatus[], { kind, id }: { kind: string; id: string }): PluginName {
  if (kind !== '' && !pluginKinds.includes(kind as PluginKind))
    throw invalidArgument(`"${kind}" is no kind of plugin (there are: ${pluginKinds.join(', ')})`)
  const found = rows.filter(row => row.id === id && (kind === '' || row.kind === kind))
  const [only] = found
  if (only === undefined) throw notFound(`plugin "${kind === '' ? id : `${kind}/${id}`}"`)
  if (found.length === 1) return only
  throw failedPrecondition(
    `"${id}" is the id of several plugins: say ${found.map(row => `${row.kind}/${id}`).join(' or ')}`,
  )
}

function parseConfig(text: string): Readonly<Record<string, unknown>> {
  if (text === '') return {}
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
    throw new Error('not an object')
  } catch (cause) {
    throw invalidArgument(`configuration: ${messageOf(cause)}`, { cause })
  }
}

function toWire({ state, startedAtMs, capabilities, lastWords, exports, memoryBytes, traffic, ...rest }: PluginStatus) {
  const { inFlight, queued, ...summary } = traffic
  return {
    ...rest,
    state: states[state],
    capabilities: [...capabilities],
    lastWords: [...lastWords],
    exports: { ...exports },
    startedAt: startedAtMs === undefined ? undefined : timestampOf(startedAtMs),
    memoryBytes: BigInt(memoryBytes),
    calls: callsOf(summary),
    inFlight,
    queued,
  }
}

function callsOf({ calls, errors, ...latencies }: CallSummary) {
  return { total: BigInt(calls), errors: BigInt(errors), ...latencies }
}

function milliseconds({ seconds, nanos }: { seconds: bigint; nanos: number }): number {
  return Number(seconds) * 1000 + nanos / 1_000_000
}
