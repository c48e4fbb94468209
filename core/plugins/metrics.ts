/** The plugin table in Prometheus' text format. */
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { CallJournal } from './call-journal.ts'
import type { PluginStatus } from './status.ts'

/** Seconds; a call is between a fraction of a millisecond and a walk over a tree. */
const buckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]

/** Counts calls from now on; the state of each plugin is read when somebody asks. */
export function pluginMetrics(table: () => readonly PluginStatus[], journal: CallJournal): Registry {
  const registry = new Registry()
  const calls = new Counter({
    name: 'gantry_plugin_calls_total',
    help: 'Calls to plugins, by what became of them (OK or an error code).',
    labelNames: ['kind', 'plugin', 'method', 'outcome'],
    registers: [registry],
  })
  const seconds = new Histogram({
    name: 'gantry_plugin_call_seconds',
    help: 'How long callers waited for a plugin.',
    labelNames: ['kind', 'plugin', 'method'],
    buckets,
    registers: [registry],
  })
  journal.listen(({ kind, id: plugin, method, outcome, durationMs }) => {
    calls.inc({ kind, plugin, method, outcome })
    seconds.observe({ kind, plugin, method }, durationMs / 1000)
  })
  for (const [name, help, read] of gauges)
    new Gauge({
      name: `gantry_plugin_${name}`,
      help,
      labelNames: ['kind', 'plugin', 'version'],
      registers: [registry],
      collect() {
        this.reset()
        for (const row of table()) this.set({ kind: row.kind, plugin: row.id, version: row.version }, read(row))
      },
    })
  return registry
}

const gauges: readonly [name: string, help: string, read: (row: PluginStatus) => number][] = [
  ['up', '1 while it serves.', ({ state }) => (state === 'ready' ? 1 : 0)],
  ['restarts', 'Starts after the first.', ({ restarts }) => restarts],
  ['swaps', 'Processes that took over while calls ran.', ({ swaps }) => swaps],
  ['breaker_open', '1 while calls are refused because it answered none.', ({ breaker }) => (breaker === '' ? 0 : 1)],
  ['memory_bytes', 'Resident memory of its process.', ({ memoryBytes }) => memoryBytes],
  ['in_flight', 'Calls that are with it.', ({ traffic }) => traffic.inFlight],
  ['queued', 'Calls that wait for their turn.', ({ traffic }) => traffic.queued],
]
