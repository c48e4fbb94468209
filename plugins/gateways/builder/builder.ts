/** The plugin as a value: a gateway that builds images for other gateways and tools. */
import { chmod, chown, rm } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'
import { BuilderServiceDefinition } from '#api/gen/gantry/services/builder/v1/builder.ts'
import { createRpcServer } from '#api/rpc/server.ts'
import { defineGateway } from '#sdk/define-gateway.ts'
import { configOf } from '#sdk/plugin-config.ts'
import { StepCache } from './cache/step-cache.ts'
import { builderService } from './service.ts'

const settingsSchema = z.strictObject({
  snapshotter: z.string().default('overlayfs').describe('snapshotter of the layers in the making'),
})

export const builder = defineGateway({
  id: 'builder',
  version: '0.1.0',
  capabilities: ['dockerfile'],
  ...configOf(settingsSchema),
  async create({ config, root, state, log, coreAddress, socket, groupId }) {
    const cache = StepCache.open(join(root, 'cache'))
    const server = createRpcServer({ logger: log })
    server.add(BuilderServiceDefinition, builderService({ coreAddress, cache, snapshotter: config.snapshotter, state }))
    await rm(socket, { force: true })
    await server.listen(`unix:${socket}`)
    await chmod(socket, groupId === undefined ? 0o600 : 0o660)
    if (groupId !== undefined) await chown(socket, 0, groupId)
    return {
      exports: { socket },
      async close() {
        await server.shutdown(5000)
        await cache.close()
      },
    }
  },
})
