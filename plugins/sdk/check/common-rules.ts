/** What every plugin serves, whatever its kind. */
import assert from 'node:assert/strict'
import { isGantryError } from '#api/errors/errors.ts'
import { type GetInfoResponse, PluginServiceDefinition } from '#api/gen/gantry/plugin/v1/plugin.ts'
import { HealthDefinition, HealthCheckResponse_ServingStatus as Status } from '#api/gen/grpc/health/v1/health.ts'
import { type Channel, createClient } from '#api/rpc/client.ts'
import type { Rule } from './rule.ts'

/** The contract's own limit for an answer. */
const infoMs = 1_000

/** Who serves there; undefined when it does not know gantry.plugin.v1, as a plugin of containerd's does not. */
export async function readInfo(channel: Channel): Promise<GetInfoResponse | undefined> {
  try {
    return await createClient(PluginServiceDefinition, channel).getInfo({})
  } catch (error) {
    if (isGantryError(error, 'NOT_IMPLEMENTED')) return undefined
    throw error
  }
}

export function commonRules(channel: Channel, kind: string): Rule[] {
  const health = createClient(HealthDefinition, channel)
  const plugin = createClient(PluginServiceDefinition, channel)
  return [
    {
      text: 'the health check of the whole process says SERVING',
      async check() {
        assert.equal((await health.check({ service: '' })).status, Status.SERVING)
      },
    },
    {
      text: 'it says who it is within a second, the same each time',
      async check() {
        const info = await plugin.getInfo({}, { deadlineMs: infoMs })
        assert.equal(info.kind, kind)
        assert.match(info.id, /^[a-z0-9]+(-[a-z0-9]+)*$/)
        assert.notEqual(info.version, '', 'a version')
        assert.deepEqual(await plugin.getInfo({}, { deadlineMs: infoMs }), info)
        if (info.configSchemaJson !== '') assert.equal(typeof JSON.parse(info.configSchemaJson), 'object')
      },
    },
  ]
}
