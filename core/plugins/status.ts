/** What has become of a plugin, for tools. */
import type { CallSummary } from './call-journal.ts'
import type { PluginKind } from './kinds.ts'

export type PluginState = 'idle' | 'starting' | 'ready' | 'back-off' | 'failed' | 'stopped' | 'disabled'

/** What there is to say of one way to run a plugin. */
export interface ProcessStatus {
  readonly state: PluginState
  /** 0 when no process of ours runs. */
  readonly pid: number
  /** Starts after the first. */
  readonly restarts: number
  /** What ended it last or kept it from starting; empty when nothing did. */
  readonly lastError: string
  /** The last lines of the process that {@link lastError} is about. */
  readonly lastWords: readonly string[]
  readonly version: string
  readonly capabilities: readonly string[]
  /** Path of the socket it serves on. */
  readonly address: string
  readonly external: boolean
  /** Milliseconds since the epoch of the last start; undefined when never started by us. */
  readonly startedAtMs: number | undefined
  readonly exports: Readonly<Record<string, string>>
}

/** A row of the plugin table. */
export interface PluginStatus extends ProcessStatus {
  readonly kind: PluginKind
  readonly id: string
  /** Path of its manifest; empty when there is none. */
  readonly origin: string
  /** Resident memory of its process. */
  readonly memoryBytes: number
  readonly traffic: CallSummary & { readonly inFlight: number; readonly queued: number }
  /** Why calls are refused; empty while they are not. */
  readonly breaker: string
  /** Processes that took over from another one without a call failing. */
  readonly swaps: number
}
