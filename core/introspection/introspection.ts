/**
 * Introspection: what the daemon is made of, for clients that choose by it. nerdctl and BuildKit learn here which
 * snapshotters and runtimes there are; `ctr plugins` prints it.
 *
 * A *plugin* here is a thing clients can count on, by containerd's kinds and names, whether it is a process of its own
 * or a part of the daemon: `io.containerd.snapshotter.v1/overlayfs`, `io.containerd.runtime.v2/task` (with at least one
 * platform, or BuildKit refuses to work), `io.containerd.monitor.container.v1/restart`, ...
 */
import type { Any } from '#api/gen/google/protobuf/any.ts'
import type { Platform } from '#api/types/platform.ts'

export interface PluginDescription {
  /** Kind: `io.containerd.snapshotter.v1`. */
  readonly type: string
  /** Name within its kind. */
  readonly id: string
  /** Kinds it builds on. */
  readonly requires?: readonly string[]
  readonly platforms?: readonly Platform[]
  /** Facts it makes known, such as `root`. */
  readonly exports?: Readonly<Record<string, string>>
  /** Names of abilities clients may rely on. */
  readonly capabilities?: readonly string[]
  /** Why it could not be started; absent when it was, or was not needed yet. */
  readonly failure?: Error
}

/** Answers a client's question to a plugin; undefined: that plugin answers none. */
export type PluginInquiry = (plugin: PluginDescription, question: Any) => Promise<Any> | undefined

export { type BuiltInFacts, builtInPlugins } from './built-in.ts'
export { type IntrospectionOptions, introspectionService } from './service.ts'
