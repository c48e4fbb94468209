/**
 * Plugins, and their supervision: which there are, how to reach one, and what has become of each.
 *
 * A *plugin* is a process of one *kind* (kinds.ts) with an *id* unique in that kind. Most are ours to run: started at
 * their first use, watched, started again when they die, stopped with us. Gateways start with us, since it is they who
 * call the core. Some are *external*: somebody else runs them and we know only an address.
 *
 * ```
 *           first use           health check passes
 *   idle ─────────────► starting ─────────────► ready ──── stop ───► stopped
 *                        ▲     │ fails            │ dies
 *             back-off   │     ▼                  │
 *             is over    └── back-off ◄───────────┘
 *                              │ too often
 *                              ▼
 *                            failed      the next use after the cap starts anew
 * ```
 *
 * Who needs a plugin asks for its channel before every call, which costs nothing while it is ready, and waits for a
 * start or a short back-off otherwise:
 *
 * ```ts
 * const channel = await plugins.channelFor('snapshotter', 'overlayfs')
 * const { mounts } = await createClient(SnapshotsDefinition, channel).prepare({ … })
 * ```
 *
 * A call that meets a dying plugin fails with UNAVAILABLE. The typed ways in ({@link Plugins.snapshotter},
 * {@link Plugins.network}) repeat it once against the plugin's next process, and find out what the first try has done
 * where a plain repetition would be an error.
 *
 * A plugin process never outlives its gantryd for long: it sees its stdin end, and a successor ends one that does not.
 */
import type { NetworkPluginServiceDefinition } from '#api/gen/gantry/network/v1/network.ts'
import type { Channel, Client } from '#api/rpc/client.ts'
import type { SnapshotterBackend } from '#core/snapshots/snapshots.ts'
import type { PluginKind } from './kinds.ts'

export { type KindFolder, kindFolders, kindTraits, type PluginKind, pluginKinds } from './kinds.ts'

export type PluginState = 'idle' | 'starting' | 'ready' | 'back-off' | 'failed' | 'stopped'

/** How to come by a plugin: a program of ours to run, or the address of somebody else's. */
export type PluginSource = { readonly argv: readonly string[] } | { readonly address: string }

/** A plugin we may use, as configuration and manifests describe it. */
export interface PluginSpec {
  readonly kind: PluginKind
  readonly id: string
  readonly source: PluginSource
  /** Its configuration table, handed over as it is: the plugin checks it. */
  readonly config: Readonly<Record<string, unknown>>
  /** What its manifest says, shown until it has told so itself. */
  readonly version: string
  readonly capabilities: readonly string[]
}

/** A row of the plugin table. */
export interface PluginStatus {
  readonly kind: PluginKind
  readonly id: string
  readonly state: PluginState
  /** 0 when no process of ours runs. */
  readonly pid: number
  /** Starts after the first. */
  readonly restarts: number
  /** What ended it last or kept it from starting; empty when nothing did. */
  readonly lastError: string
  readonly version: string
  readonly capabilities: readonly string[]
  /** Path of the socket it serves on. */
  readonly address: string
  readonly external: boolean
  /** Milliseconds since the epoch of the last start; undefined when never started by us. */
  readonly startedAtMs: number | undefined
  readonly exports: Readonly<Record<string, string>>
}

export interface Plugins {
  /** Ids of one kind, sorted. */
  ids(kind: PluginKind): string[]

  /**
   * A channel to the plugin at work, after starting it where needed.
   * NOT_FOUND: there is no such plugin, listing those there are. UNAVAILABLE, with the reason: it cannot be started, is
   * waiting out a long back-off, or we are stopping.
   */
  channelFor(kind: PluginKind, id: string): Promise<Channel>

  /**
   * To be told that a call failed with UNAVAILABLE. Answers, mostly at once and within three seconds, whether the
   * process that was called is gone: then the next {@link channelFor} leads to another one, and repeating makes sense.
   */
  suspect(kind: PluginKind, id: string): Promise<boolean>

  /** A snapshotter as the snapshots front wants it. NOT_FOUND when there is none of that id; starts nothing yet. */
  snapshotter(id: string): SnapshotterBackend

  /** A network plugin's service. NOT_FOUND when there is none of that id; starts nothing yet. */
  network(id: string): Client<typeof NetworkPluginServiceDefinition>

  /** The table, by kind and id. */
  list(): PluginStatus[]

  /**
   * Starts all that start with gantryd, once the core serves, and keeps them up; does not wait for them. Disposing of
   * the answer ends them: before the core stops serving.
   */
  startGateways(): AsyncDisposable

  /** Stops all that we started, the last started first, within ten seconds in all; then nothing starts any more. */
  stop(): Promise<void>
}
