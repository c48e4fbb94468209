/**
 * A log sink as a value: a plugin that is handed every line containers write, to keep it elsewhere.
 *
 *     export const jsonl = defineLogSink({ id: 'jsonl', version: '1.0.0', create: async env => new JsonLines(env.root) })
 *     // main.ts: await serve(jsonl)
 *
 * It starts with gantryd and follows containers on its own (container-logs.ts): from their creation on, and at its start
 * those that run already, from the beginning of their logs. So a line comes *at least once*; after a restart of the sink
 * those of running containers come again. A sink that is slow, stopped or dead delays no container: the log is the
 * shim's, the sink only reads it.
 */
import { ContainerLogs } from './container-logs.ts'
import { type CommonDefinition, coreAddress, definePlugin } from './core-caller.ts'
import type { PluginDefinition, PluginEnv } from './plugin.ts'

export interface LogLine {
  /** Tenant namespace and id of the container. */
  readonly namespace: string
  readonly container: string
  readonly stream: 'stdout' | 'stderr'
  /** When it was read. */
  readonly at: Date
  /** Without its line feed; a line longer than 64 KiB comes in pieces. */
  readonly text: string
}

/** A log sink at work. */
export interface LogSink {
  /** Takes lines of one container, in order; the next ones come when it resolves. What it throws is logged, and the lines are dropped. */
  write(lines: readonly LogLine[]): Promise<void>
  /** Called once, after the last write. */
  close(): Promise<void>
}

export interface LogSinkDefinition<Config> extends CommonDefinition<Config> {
  create(env: PluginEnv<Config>): Promise<LogSink>
}

export function defineLogSink<Config = unknown>(definition: LogSinkDefinition<Config>): PluginDefinition<Config> {
  return definePlugin('log-sink', definition, async env => {
    const sink = await definition.create(env)
    const logs = new ContainerLogs({ coreAddress: coreAddress(), sink, log: env.log })
    logs.start()
    const close = async () => {
      await logs.stop()
      await sink.close()
    }
    return { services: [], close }
  })
}
