/** What the supervisor is told of one plugin: its manifest joined with its configuration. */
import type { PluginKind } from './kinds.ts'

/** How to come by a plugin: a program of ours to run, or the address of somebody else's. */
export type PluginSource =
  | { readonly argv: readonly string[] }
  | { readonly address: string }
  /** In the table, but not to be used, and why. */
  | { readonly unusable: string; readonly state: 'disabled' | 'failed' }

/** Limits of a plugin's cgroup; what is left out is not limited. */
export interface Limits {
  readonly memoryBytes?: number
  readonly pids?: number
  readonly cpus?: number
}

/** A plugin we may use. Values that differ are another version of it. */
export interface PluginSpec {
  readonly kind: PluginKind
  readonly id: string
  readonly source: PluginSource
  /** Its configuration table, handed over as it is: the plugin checks it. */
  readonly config: Readonly<Record<string, unknown>>
  /** What its manifest says, shown until it has told so itself. */
  readonly version: string
  readonly capabilities: readonly string[]
  /** Path of its manifest; empty for one that is only an address in the configuration. */
  readonly origin?: string
  /** All the capabilities(7) its process gets. Undefined: it is not confined (tests, and gantryd without root). */
  readonly linuxCapabilities?: readonly string[]
  readonly limits?: Limits
  /** Milliseconds by call class, over the defaults of call-classes.ts. */
  readonly deadlines?: Readonly<Partial<Record<'query' | 'change' | 'bulk', number>>>
  /**
   * It may be started while another process of it still holds its root: it then answers health checks with NOT_SERVING
   * until the root is free. Makes a swap's pause short.
   */
  readonly waitsForRoot?: boolean
}
