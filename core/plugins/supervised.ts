import type { Channel } from '#api/rpc/client.ts'
import type { PluginStatus } from './plugins.ts'

/** One plugin as the supervisor holds it, whoever runs it. The verbs are those of `Plugins`, for this one. */
export interface SupervisedPlugin {
  channel(): Promise<Channel>
  suspect(): Promise<boolean>
  status(): PluginStatus
  /** Order of the last start among all plugins; 0: never started by us. */
  readonly startedAs: number
  stop(deadlineMs: number): Promise<void>
}
