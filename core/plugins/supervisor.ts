/** The supervisor: all plugins of one gantryd. */
import { join } from 'node:path'
import { notFound } from '#api/errors/errors.ts'
import type { Logger, LogLevel } from '#api/log/log.ts'
import { ExternalPlugin } from './external-plugin.ts'
import { ManagedPlugin, type PluginHome } from './managed-plugin.ts'
import { networkClient } from './network-client.ts'
import { kindTraits, type PluginKind, type PluginSpec, type Plugins } from './plugins.ts'
import { snapshotterBackend } from './snapshotter-backend.ts'
import type { SupervisedPlugin } from './supervised.ts'
import { defaultTiming, type Timing } from './timing.ts'

export interface SupervisorOptions {
  specs: readonly PluginSpec[]
  /** gantryd's durable directory; a plugin's is `<root>/<kind's folder>/<id>`, short because mount options repeat it. */
  root: string
  /** gantryd's volatile directory; sockets are `<state>/<kind's folder>/<id>.sock`. */
  state: string
  /** Eight hexadecimal digits that name this gantryd on the host. */
  instance: string
  /** Socket of the core's API, for the plugins that call it. */
  coreAddress: string
  /** Group that may use a gateway's socket as it may use ours; undefined: root alone. */
  groupId?: number | undefined
  log: Logger
  logLevel?: LogLevel
  timing?: Partial<Timing>
}

const name = (kind: PluginKind, id: string) => `${kind}/${id}`

/** Makes the plugin table; starts nothing. */
export function createSupervisor(options: SupervisorOptions): Plugins {
  const timing = { ...defaultTiming, ...options.timing }
  let starts = 0
  const nextStart = () => ++starts
  const table = new Map<string, SupervisedPlugin>()
  for (const spec of options.specs) table.set(name(spec.kind, spec.id), supervise(spec, options, timing, nextStart))

  const rows = () => Array.from(table.values(), plugin => plugin.status()).sort(byKindAndId)
  const ids = (kind: PluginKind) => rows().flatMap(row => (row.kind === kind ? [row.id] : []))
  const find = (kind: PluginKind, id: string) => {
    const plugin = table.get(name(kind, id))
    if (plugin) return plugin
    throw notFound(`${kind} plugin "${id}" (there are: ${ids(kind).join(', ') || 'none'})`)
  }
  const plugins: Plugins = {
    ids,
    list: rows,
    channelFor: async (kind, id) => find(kind, id).channel(),
    suspect: async (kind, id) => find(kind, id).suspect(),
    snapshotter(id) {
      find('snapshotter', id)
      return snapshotterBackend(plugins, id)
    },
    network(id) {
      find('network', id)
      return networkClient(plugins, id)
    },
    startGateways() {
      const gateways = [...table.values()].filter(plugin => startsWithUs(plugin))
      for (const gateway of gateways) gateway.channel().catch(() => {})
      return { [Symbol.asyncDispose]: () => stopAll(gateways, timing) }
    },
    stop: () => stopAll([...table.values()], timing),
  }
  return plugins
}

function startsWithUs(plugin: SupervisedPlugin): boolean {
  return kindTraits[plugin.status().kind].starts === 'with gantryd'
}

function supervise(
  spec: PluginSpec,
  options: SupervisorOptions,
  timing: Timing,
  nextStart: () => number,
): SupervisedPlugin {
  if ('address' in spec.source) return new ExternalPlugin(spec, spec.source.address)
  const log = options.log.child({ plugin: name(spec.kind, spec.id) })
  return new ManagedPlugin({ spec, argv: spec.source.argv, home: homeOf(spec, options), timing, log, nextStart })
}

function homeOf({ kind, id, config }: PluginSpec, options: SupervisorOptions): PluginHome {
  const { folder } = kindTraits[kind]
  const root = join(options.root, folder, id)
  const runDirectory = join(options.state, folder)
  const state = join(runDirectory, id)
  const address = join(runDirectory, `${id}.sock`)
  const env = {
    ...inherited(),
    GANTRY_PLUGIN_ID: id,
    GANTRY_PLUGIN_KIND: kind,
    GANTRY_PLUGIN_ADDRESS: address,
    GANTRY_PLUGIN_ROOT: root,
    GANTRY_PLUGIN_STATE: state,
    GANTRY_PLUGIN_CONFIG: JSON.stringify(config),
    GANTRY_PLUGIN_WATCH_STDIN: '1',
    GANTRY_INSTANCE: options.instance,
    GANTRY_LOG_LEVEL: options.logLevel ?? 'info',
    ...(kind === 'gateway' && gatewayEnv(id, options)),
  }
  return { address, pidFile: join(runDirectory, `${id}.pid`), env, directories: [root, state] }
}

/** What a gateway needs beside: whom to call, and where its own clients look for it. */
function gatewayEnv(id: string, { coreAddress, state, groupId }: SupervisorOptions): Record<string, string> {
  return {
    GANTRY_CORE_ADDRESS: coreAddress,
    GANTRY_GATEWAY_SOCKET: join(state, `${id}.sock`),
    ...(groupId !== undefined && { GANTRY_GATEWAY_GROUP: String(groupId) }),
  }
}

function inherited(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(process.env).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])),
  )
}

function byKindAndId(a: { kind: string; id: string }, b: { kind: string; id: string }): number {
  return name(a.kind as PluginKind, a.id) < name(b.kind as PluginKind, b.id) ? -1 : 1
}

/** Backwards, since a later one may use an earlier one's work; each gets what is left of the common time. */
async function stopAll(plugins: SupervisedPlugin[], { stopMs, stopAllMs }: Timing): Promise<void> {
  const deadline = Date.now() + stopAllMs
  plugins.sort((a, b) => b.startedAs - a.startedAs)
  for (const plugin of plugins) await plugin.stop(Math.max(0, Math.min(stopMs, deadline - Date.now())))
}
