import type { Channel } from '#api/rpc/client.ts'
import type { ProcessStatus } from './status.ts'

/** One way to run a plugin, whoever runs it: a version of it, from its first use to its stop. */
export interface SupervisedPlugin {
  /** A channel to it, after starting it where needed. UNAVAILABLE: the reason. */
  channel(): Promise<Channel>
  /** A call failed with UNAVAILABLE: is the process that was called gone? */
  suspect(): Promise<boolean>
  status(): ProcessStatus
  /** Order of the last start among all plugins; 0: never started by us. */
  readonly startedAs: number
  /** Resolves when it has answered a health check at all; never for one that nobody starts. */
  readonly answered: Promise<void>
  stop(deadlineMs: number): Promise<void>
}
