/**
 * How long a plugin may take to answer, by what the call is for. A process that hangs is found by its health checks; these
 * limits are for the calls that wait for it meanwhile.
 */
import type { PluginKind } from './kinds.ts'

/** `query` reads records, `change` makes or ends one thing, `bulk` may walk or copy a whole tree. */
export type CallClass = 'query' | 'change' | 'bulk'

/** Milliseconds; a manifest's `[deadlines]` may say otherwise for its plugin. */
export const defaultDeadlines: Readonly<Record<CallClass, number>> = {
  query: 10_000,
  change: 30_000,
  bulk: 600_000,
}

/** By method name; one that is not named here is a `change`. */
const classes: Readonly<Record<PluginKind, Readonly<Record<string, CallClass>>>> = {
  snapshotter: {
    Stat: 'query',
    Update: 'query',
    List: 'query',
    Mounts: 'query',
    Usage: 'bulk',
    Commit: 'bulk',
    Remove: 'bulk',
    Cleanup: 'bulk',
  },
  network: { Check: 'query', Status: 'query', ListNetworks: 'query', Gc: 'bulk' },
  differ: { Apply: 'bulk', Diff: 'bulk' },
  runtime: {},
  gateway: {},
  'log-sink': {},
  'log-driver': {},
  builder: {},
}

export function classOf(kind: PluginKind, method: string): CallClass {
  return classes[kind][method] ?? 'change'
}
