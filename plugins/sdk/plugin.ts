/**
 * A plugin, whatever its kind: a value that says who it is and how to make its services. `serve()` turns it into
 * a process; a test calls `create` directly. Nothing here knows about sockets, signals or the supervisor.
 *
 * Life: `parseConfig(raw)` → `create(env)` → calls arrive → `env.draining` fires → the calls in flight end
 * (at most five seconds) → `close()` → the process exits. Between any two instructions the process may be killed:
 * what a plugin keeps lives below `env.root` and must make sense when read by the next start.
 */
import type { Logger } from '#api/log/log.ts'
import type { ServiceDefinition, ServiceImpl } from '#api/rpc/definition.ts'

/** What a plugin can be for the core; decides which service the core expects on its socket. */
export type PluginKind = 'snapshotter' | 'network' | 'gateway' | 'log-sink' | 'log-driver' | 'builder' | 'differ'

/** What an author hands to {@link PluginDefinition.create}'s caller: the place to live and the way to speak. */
export interface PluginEnv<Config = unknown> {
  readonly kind: PluginKind
  readonly id: string
  /** What `parseConfig` answered. */
  readonly config: Config
  /** Durable directory of this plugin alone (0700, exists, locked: no second process of the plugin uses it). */
  readonly root: string
  /** Directory that need not outlive a reboot (0700, exists). */
  readonly state: string
  /**
   * Eight hexadecimal digits, the same at every start of this gantryd and different for another one on the host:
   * put them into every name that is global to the kernel (links, nft tables).
   */
  readonly instance: string
  readonly log: Logger
  /** Fires when the process was told to stop: end long waits. */
  readonly draining: AbortSignal
}

/** One gRPC service and the functions that serve it. Make it with {@link service}. */
export interface ServedService {
  readonly definition: ServiceDefinition
  readonly implementation: ServiceImpl<ServiceDefinition>
}

/** Pairs a generated service table with its functions; the compiler checks that they fit. */
export function service<D extends ServiceDefinition>(definition: D, implementation: ServiceImpl<D>): ServedService {
  return { definition, implementation: implementation as unknown as ServiceImpl<ServiceDefinition> }
}

/** A plugin at work. */
export interface PluginInstance {
  readonly services: readonly ServedService[]
  /** Facts for tools, shown by `gctr plugins`, such as `{ root: '/var/lib/…' }`. */
  readonly exports?: Readonly<Record<string, string>>
  /** Called once, after the last call has ended. */
  close(): Promise<void>
}

/** Who a plugin is. */
export interface PluginIdentity {
  readonly kind: PluginKind
  /** Kebab-case, unique within the kind: the name users write in their configuration. */
  readonly id: string
  /** Semantic version of the plugin's own code. */
  readonly version: string
  /** What it can do beyond the minimum of its contract, as short words. */
  readonly capabilities: readonly string[]
  /** JSON Schema (draft 2020-12) of its configuration table, for tools. */
  readonly configSchema?: object
}

/** A plugin as a value. `defineSnapshotter` and `defineNetwork` make it from less. */
export interface PluginDefinition<Config = unknown> extends PluginIdentity {
  /** Checks and completes its configuration table; an unknown key or a bad value is INVALID_ARGUMENT naming it. */
  parseConfig(raw: unknown): Config
  /** Makes the plugin ready to serve. What it throws ends the process with a message and exit code 1. */
  create(env: PluginEnv<Config>): Promise<PluginInstance>
}
