/** The plugin as a value: images from Dockerfiles, for gateways and tools. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'
import { KeyedLock } from '#api/concurrency/keyed-lock.ts'
import { openStore } from '#api/store/store.ts'
import { defineBuilder } from '#sdk/define-builder.ts'
import { configOf } from '#sdk/plugin-config.ts'
import { Budget } from './cache/budget.ts'
import { BuildLog } from './cache/build-log.ts'
import { pruneCache } from './cache/prune-cache.ts'
import { StepCache } from './cache/step-cache.ts'
import { sweepLeftovers } from './core/sweep.ts'
import { builderService } from './service.ts'

const settingsSchema = z.strictObject({
  snapshotter: z.string().default('overlayfs').describe('snapshotter of the layers in the making'),
  cache_bytes: z
    .int()
    .min(0)
    .default(20 * 1024 ** 3)
    .describe('what the cache of steps and of mounts may hold after a build, least recently used go; 0: no limit'),
  cache_days: z.number().min(0).default(60).describe('what was not used for so long goes; 0: it stays'),
})

export const dockerfile = defineBuilder({
  id: 'dockerfile',
  version: '0.1.0',
  capabilities: ['dockerfile'],
  ...configOf(settingsSchema),
  async create({ config, root, state, coreAddress }) {
    await sweepLeftovers(coreAddress, state)
    const caches = join(root, 'mounts')
    await mkdir(caches, { recursive: true, mode: 0o700 })
    const store = openStore(join(root, 'cache'))
    const [cache, log, inProgress] = [new StepCache(store), new BuildLog(store), new KeyedLock()]
    const { snapshotter } = config
    const budget = new Budget({
      keepBytes: BigInt(config.cache_bytes),
      keepMs: config.cache_days * 24 * 3600_000,
      prune: policy => pruneCache({ coreAddress, cache, snapshotter, caches }, policy),
    })
    return {
      service: builderService({ coreAddress, cache, budget, log, inProgress, caches, snapshotter, state }),
      async close() {
        await budget.idle()
        await store.close()
      },
    }
  },
})
