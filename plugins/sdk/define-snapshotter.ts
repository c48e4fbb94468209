/**
 * A snapshotter plugin as a value:
 *
 *     export const native = defineSnapshotter({
 *       id: 'native', version: '1.0.0', ...configOf(schema),
 *       create: async ({ root, openMetaStore }) => new NativeSnapshotter(root, await openMetaStore()),
 *     })
 *     // main.ts: await serve(native)
 *     // test:    snapshotterSuite('native', root => openSnapshotter(native, { root }))
 */
import { join } from 'node:path'
import { createLogger } from '#api/log/log.ts'
import { type MetaStore, openMetaStore } from './meta-store.ts'
import type { PluginDefinition, PluginEnv } from './plugin.ts'
import { snapshotService } from './snapshot-service.ts'
import type { StepHook } from './snapshot-storage.ts'
import type { Snapshotter } from './snapshotter.ts'

/** What a snapshotter is made from: every plugin's surroundings, and a place for its snapshot tree. */
export interface SnapshotterEnv<Config> extends PluginEnv<Config> {
  /** Opens the durable tree of keys, names and parents below `root`; close it in the snapshotter's `close`. */
  openMetaStore(): Promise<MetaStore>
  /** To be called where a crash could part two acts. */
  readonly step: StepHook
}

export interface SnapshotterDefinition<Config> {
  readonly id: string
  readonly version: string
  readonly capabilities?: readonly string[]
  readonly configSchema?: object
  /** See {@link PluginDefinition.parseConfig}; absent: it takes no configuration and ignores the table. */
  parseConfig?(raw: unknown): Config
  create(env: SnapshotterEnv<Config>): Promise<Snapshotter>
}

/** A defined snapshotter: a plugin for `serve`, and still able to make a bare {@link Snapshotter}. */
export interface SnapshotterPlugin<Config> extends PluginDefinition<Config> {
  createSnapshotter(env: PluginEnv<Config>, step?: StepHook): Promise<Snapshotter>
}

export function defineSnapshotter<Config = unknown>(
  definition: SnapshotterDefinition<Config>,
): SnapshotterPlugin<Config> {
  const { id, version, capabilities = [], configSchema } = definition
  const createSnapshotter = (env: PluginEnv<Config>, step: StepHook = () => {}) =>
    definition.create({ ...env, step, openMetaStore: async () => openMetaStore(join(env.root, 'metadata')) })
  return {
    kind: 'snapshotter',
    id,
    version,
    capabilities,
    ...(configSchema && { configSchema }),
    parseConfig: raw => (definition.parseConfig ? definition.parseConfig(raw) : (raw as Config)),
    createSnapshotter,
    async create(env) {
      const snapshotter = await createSnapshotter(env)
      return {
        services: [snapshotService(snapshotter)],
        exports: { root: env.root },
        close: () => snapshotter.close(),
      }
    },
  }
}

/** A snapshotter without a process around it, for tests and tools; `config` is the raw table. */
export function openSnapshotter<Config>(
  plugin: SnapshotterPlugin<Config>,
  { root, config = {}, step }: { root: string; config?: unknown; step?: StepHook },
): Promise<Snapshotter> {
  const { kind, id } = plugin
  const log = createLogger({ name: `${kind}/${id}`, level: 'warn' })
  const env = {
    kind,
    id,
    root,
    state: join(root, 'state'),
    instance: '00000000',
    log,
    draining: new AbortController().signal,
  }
  return plugin.createSnapshotter({ ...env, config: plugin.parseConfig(config) }, step)
}
