/**
 * The kinds of plugins. All that depends on a kind, other than the service it speaks, is read from this table: where
 * Gantry's own ones lie, what their configuration table is called, when they start.
 */

export interface KindTraits {
  /**
   * The plural: folder of Gantry's own plugins (`plugins/<folder>/<id>`), of their data (`<root>/<folder>/<id>`) and
   * sockets (`<state>/<folder>/<id>.sock`), and their table in the configuration (`[plugins.<folder>.<id>]`).
   */
  readonly folder: string
  /**
   * `first use`: when a call needs it. `with gantryd`: it calls the core rather than being called, so it starts as soon
   * as the core serves, is kept up for ever, and ends before the core stops serving. `per container`: it is an executable,
   * run anew for each container, whose processes outlive us (runtime-plugin.ts).
   */
  readonly starts: 'first use' | 'with gantryd' | 'per container'
  /** It is told where the core's API is. */
  readonly callsCore: boolean
}

export const kindTraits = {
  snapshotter: { folder: 'snapshotters', starts: 'first use', callsCore: false },
  network: { folder: 'networks', starts: 'first use', callsCore: false },
  differ: { folder: 'differs', starts: 'first use', callsCore: true },
  runtime: { folder: 'runtimes', starts: 'per container', callsCore: false },
  gateway: { folder: 'gateways', starts: 'with gantryd', callsCore: true },
  'log-sink': { folder: 'log-sinks', starts: 'with gantryd', callsCore: true },
  'log-driver': { folder: 'log-drivers', starts: 'first use', callsCore: true },
  builder: { folder: 'builders', starts: 'first use', callsCore: true },
} as const satisfies Readonly<Record<string, KindTraits>>

export type PluginKind = keyof typeof kindTraits
export type KindFolder = (typeof kindTraits)[PluginKind]['folder']

export const pluginKinds = Object.keys(kindTraits) as readonly PluginKind[]
export const kindFolders = pluginKinds.map(kind => kindTraits[kind].folder) as readonly KindFolder[]
