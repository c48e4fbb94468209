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
import type { CallRecord, CallSummary } from './call-journal.ts'
import type { Perform } from './calls.ts'
import type { LogSelection, PluginLogLine } from './kept-log.ts'
import type { PluginKind } from './kinds.ts'
import type { PluginStatus } from './status.ts'

export { type KindFolder, kindFolders, type PluginKind } from './kinds.ts'

export type { PluginSource, PluginSpec } from './spec.ts'
export type { PluginState, PluginStatus } from './status.ts'

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

  /**
   * A call to a plugin: waits for its turn, has the deadline of its class (call-classes.ts), and is performed once more
   * (`again`, by default the same) when the process died during it. NOT_FOUND as {@link channelFor}. UNAVAILABLE: it cannot be reached, or
   * answered none of the last calls. DEADLINE_EXCEEDED: it did not answer, with its pid and state. RESOURCE_EXHAUSTED:
   * too many wait for it already.
   */
  call<T>(kind: PluginKind, id: string, method: string, perform: Perform<T>, again?: Perform<T>): Promise<T>

  /** A snapshotter as the snapshots front wants it. NOT_FOUND when there is none of that id; starts nothing yet. */
  snapshotter(id: string): SnapshotterBackend

  /** A network plugin's service. NOT_FOUND when there is none of that id; starts nothing yet. */
  network(id: string): Client<typeof NetworkPluginServiceDefinition>

  /** The table, by kind and id. */
  list(): PluginStatus[]

  /** What became of the calls to one plugin, by method. */
  methods(kind: PluginKind, id: string): ({ readonly method: string } & CallSummary)[]

  /**
   * Starts all that start with gantryd, once the core serves, and keeps them up; does not wait for them. Disposing of
   * the answer ends them: before the core stops serving.
   */
  startGateways(): AsyncDisposable

  /** Lines a plugin wrote, under us or an earlier gantryd; with a signal also those to come, until it fires. NOT_FOUND. */
  logs(kind: PluginKind, id: string, selection: LogSelection, signal?: AbortSignal): AsyncIterable<PluginLogLine>

  /** Calls as they end, of all plugins, until the signal fires. */
  trace(signal: AbortSignal): AsyncIterable<CallRecord>

  /** Stops all that we started, the last started first, within ten seconds in all; then nothing starts any more. */
  stop(): Promise<void>
}
