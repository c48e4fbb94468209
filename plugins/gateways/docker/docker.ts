/** The plugin as a value: the Docker Engine API for clients of Docker, a client of the core towards us. */
import { defineGateway } from '#sdk/define-gateway.ts'
import { configOf } from '#sdk/plugin-config.ts'
import { settingsSchema } from './engine/settings.ts'
import { openGateway } from './gateway.ts'
import type { ApiVersion } from './http/api-version.ts'

const version = '0.1.0'

export const docker = defineGateway({
  id: 'docker',
  version,
  capabilities: ['docker-engine-api'],
  ...configOf(settingsSchema),
  async create({ config, root, state, instance, log, coreAddress, socket, groupId }) {
    const apiVersion = config.api_version as ApiVersion
    const settings = { apiVersion, version, config, root, state, instance, coreAddress, socket, groupId }
    const gateway = await openGateway(settings, log)
    return { exports: { socket, apiVersion }, close: () => gateway.close() }
  },
})
