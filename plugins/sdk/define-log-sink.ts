/**
 * A log sink as a value: a plugin that is handed every line containers write, to keep it elsewhere.
 *
 *     export const jsonl = defineLogSink({ id: 'jsonl', version: '1.0.0', create: async env => new JsonLines(env.root) })
 *     // main.ts: await serve(jsonl)
 *
 * It starts with gantryd and follows the logs of containers on its own (container-logs.ts): those that are there already
 * from their beginning, and after a restart from where it was. So a line comes *at least once*: again if the sink died
 * between taking it and the note that it did. A container that is removed leaves its log behind for the sink, ten minutes
 * at most. A sink that is slow, stopped or dead delays no container: the log is the shim's, the sink only reads it; what
 * is rotated away meanwhile is lost to it.
 *
 * A *log driver* is a sink for the containers that name it (`docker run --log-driver`). It differs in that it starts with
 * the first of them, and that no line is rotated away that it has not taken, unless `mode=non-blocking` allows that.
 */
import type { Source } from '#api/gen/gantry/services/logs/v1/logs.ts'
import { ContainerLogs } from './container-logs.ts'
import { type CommonDefinition, coreAddress, definePlugin } from './core-caller.ts'
import type { PluginDefinition, PluginEnv } from './plugin.ts'

export type { Source as LogSource } from '#api/gen/gantry/services/logs/v1/logs.ts'

export interface LogLine {
  /** Tenant namespace and id of the container. */
  readonly namespace: string
  readonly container: string
  readonly stream: 'stdout' | 'stderr'
  /** When it was written. */
  readonly at: Date
  /** The same as RFC 3339, with nanoseconds. */
  readonly time: string
  /** Without its line feed; a line longer than 16 KiB comes in pieces. */
  readonly text: string
  /** More of the line follows, in the next one of its stream. */
  readonly isPartial: boolean
}

/** A log sink at work. */
export interface LogSink {
  /**
   * Takes lines of one container, in order; the next ones come when it resolves. What it throws is logged, and the lines
   * come again after a while, of the same container until it takes them.
   */
  write(lines: readonly LogLine[], source: Source): Promise<void>
  /** Nothing comes from this log any more, or for now: it is followed anew if its container is started again. */
  rest?(source: Source): Promise<void>
  /** Called once, after the last write. */
  close(): Promise<void>
}

export interface LogSinkDefinition<Config> extends CommonDefinition<Config> {
  create(env: PluginEnv<Config>): Promise<LogSink>
}

export function defineLogSink<Config = unknown>(definition: LogSinkDefinition<Config>): PluginDefinition<Config> {
  return define('log-sink', definition)
}

/** Handed the lines of containers whose log driver carries them elsewhere, whichever that is. */
export function defineLogDriver<Config = unknown>(definition: LogSinkDefinition<Config>): PluginDefinition<Config> {
  return define('log-driver', definition)
}

function define<Config>(
  kind: 'log-sink' | 'log-driver',
  definition: LogSinkDefinition<Config>,
): PluginDefinition<Config> {
  return definePlugin(kind, definition, async env => {
    const sink = await definition.create(env)
    const logs = new ContainerLogs({
      coreAddress: coreAddress(),
      follower: env.id,
      driversOnly: kind === 'log-driver',
      sink,
      log: env.log,
    })
    logs.start()
    const close = async () => {
      await logs.stop()
      await sink.close()
    }
    return { services: [], close }
  })
}
