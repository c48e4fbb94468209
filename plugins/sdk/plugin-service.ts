/** The two services every plugin has: the standard health check, and who it is. */
import { setTimeout as sleep } from 'node:timers/promises'
import { notFound } from '#api/errors/errors.ts'
import { PluginServiceDefinition } from '#api/gen/gantry/plugin/v1/plugin.ts'
import { HealthDefinition, HealthCheckResponse_ServingStatus as Status } from '#api/gen/grpc/health/v1/health.ts'
import { type PluginIdentity, type PluginInstance, type ServedService, service } from './plugin.ts'

/** Between two looks whether a process that waits serves now. */
const pollMs = 50

/** Health of a whole process, for each of its services alike: from when it serves until it drains. */
export function healthService(known: ReadonlySet<string>, serves: () => boolean, draining: AbortSignal): ServedService {
  const status = () => (serves() ? Status.SERVING : Status.NOT_SERVING)
  return service(HealthDefinition, {
    async check({ service: name }) {
      if (name !== '' && !known.has(name)) throw notFound(`health of service "${name}"`)
      return { status: status() }
    },
    async *watch({ service: name }, context) {
      let told: Status | undefined
      while (!context.signal.aborted) {
        const now = name === '' || known.has(name) ? status() : Status.SERVICE_UNKNOWN
        if (now !== told) yield { status: now }
        told = now
        if (draining.aborted) return
        await (serves() ? ended(AbortSignal.any([draining, context.signal])) : sleep(pollMs))
      }
    },
  })
}

function ended(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  const { promise, resolve } = Promise.withResolvers<void>()
  signal.addEventListener('abort', () => resolve(), { once: true })
  return promise
}

/** gantry.plugin.v1 of a plugin at work. */
export function pluginService(definition: PluginIdentity, instance: PluginInstance): ServedService {
  return service(PluginServiceDefinition, {
    async getInfo() {
      return {
        id: definition.id,
        kind: definition.kind,
        version: definition.version,
        capabilities: definition.capabilities,
        configSchemaJson: definition.configSchema ? JSON.stringify(definition.configSchema) : '',
        exports: { ...instance.exports },
      }
    },
  })
}
