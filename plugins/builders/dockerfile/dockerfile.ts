/** The plugin as a value: images from Dockerfiles, for gateways and tools. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'
import { KeyedLock } from '#api/concurrency/keyed-lock.ts'
import { openStore } from '#api/store/store.ts'
import { defineBuilder } from '#sdk/define-builder.ts'
import { configOf } from '#sdk/plugin-config.ts'
import { BuildLog } from './cache/build-log.ts'
import { StepCache } from './cache/step-cache.ts'
import { sweepLeftovers } from './core/sweep.ts'
import { builderService } from './service.ts'

const settingsSchema = z.strictObject({
  snapshotter: z.string().default('overlayfs').describe('snapshotter of the layers in the making'),
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
    return {
      service: builderService({ coreAddress, cache, log, inProgress, caches, snapshotter, state }),
      close: () => store.close(),
    }
  },
})
