/** What became of the calls to plugins: for statistics, metrics and whoever watches. */
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'
import type { ErrorCode } from '#api/errors/errors.ts'
import { followed } from './followed.ts'
import type { PluginKind } from './kinds.ts'

export interface CallRecord {
  readonly kind: PluginKind
  readonly id: string
  /** As in the service: `Prepare`. */
  readonly method: string
  /** Process that was called; 0 for one that somebody else runs. */
  readonly pid: number
  readonly startedAtMs: number
  /** From the caller's view: waiting for its turn and a repetition included. */
  readonly durationMs: number
  readonly outcome: 'OK' | ErrorCode
}

/** Since gantryd's start. */
export interface CallSummary {
  readonly calls: number
  /** Of them, those the plugin is to blame for: no answer, no process, an unforeseen error. */
  readonly errors: number
  readonly p50Ms: number
  readonly p90Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

/** What a caller did wrong, or what is simply so, is no error of the plugin. */
const blamed: readonly string[] = [
  'UNAVAILABLE',
  'DEADLINE_EXCEEDED',
  'INTERNAL',
  'UNKNOWN',
  'DATA_LOSS',
  'RESOURCE_EXHAUSTED',
]

export function isBlamed(outcome: CallRecord['outcome']): boolean {
  return blamed.includes(outcome)
}

interface Tally {
  calls: number
  errors: number
  /** Microseconds. */
  readonly latencies: RecordableHistogram
}

export class CallJournal {
  readonly #tallies = new Map<string, Tally>()
  readonly #listeners = new Set<(record: CallRecord) => void>()

  add(record: CallRecord): void {
    for (const key of [`${record.kind}/${record.id}`, `${record.kind}/${record.id}/${record.method}`]) {
      const tally = this.#tallies.get(key) ?? { calls: 0, errors: 0, latencies: createHistogram() }
      this.#tallies.set(key, tally)
      tally.calls++
      if (isBlamed(record.outcome)) tally.errors++
      tally.latencies.record(Math.max(1, Math.round(record.durationMs * 1000)))
    }
    for (const listener of this.#listeners) listener(record)
  }

  /** Of a plugin, or of one method of it. */
  summary(kind: PluginKind, id: string, method?: string): CallSummary {
    const tally = this.#tallies.get(method === undefined ? `${kind}/${id}` : `${kind}/${id}/${method}`)
    if (tally === undefined) return { calls: 0, errors: 0, p50Ms: 0, p90Ms: 0, p99Ms: 0, maxMs: 0 }
    const { calls, errors, latencies } = tally
    const ms = (percentile: number) => latencies.percentile(percentile) / 1000
    return { calls, errors, p50Ms: ms(50), p90Ms: ms(90), p99Ms: ms(99), maxMs: latencies.max / 1000 }
  }

  /** Methods called so far, sorted. */
  methods(kind: PluginKind, id: string): string[] {
    const prefix = `${kind}/${id}/`
    return Array.from(this.#tallies.keys())
      .filter(key => key.startsWith(prefix))
      .map(key => key.slice(prefix.length))
      .sort()
  }

  listen(listener: (record: CallRecord) => void): void {
    this.#listeners.add(listener)
  }

  /** Calls that end from now on, until the signal fires. */
  follow(signal: AbortSignal): AsyncIterable<CallRecord> {
    return followed(this.#listeners, signal)
  }
}
