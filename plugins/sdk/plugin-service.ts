/** The two services every plugin has: the standard health check, and who it is. */
import { notFound } from '#api/errors/errors.ts'
import { PluginServiceDefinition } from '#api/gen/gantry/plugin/v1/plugin.ts'
import { HealthDefinition, HealthCheckResponse_ServingStatus as Status } from '#api/gen/grpc/health/v1/health.ts'
import { type PluginIdentity, type PluginInstance, type ServedService, service } from './plugin.ts'

/** Health of a whole process: SERVING until it drains, for each of its services alike. */
export function healthService(known: ReadonlySet<string>, draining: AbortSignal): ServedService {
  const status = () => (draining.aborted ? Status.NOT_SERVING : Status.SERVING)
  return service(HealthDefinition, {
    async check({ service: name }) {
      if (name !== '' && !known.has(name)) throw notFound(`health of service "${name}"`)
      return { status: status() }
    },
    async *watch({ service: name }, context) {
      yield { status: name === '' || known.has(name) ? status() : Status.SERVICE_UNKNOWN }
      await ended(AbortSignal.any([draining, context.signal]))
      if (!context.signal.aborted) yield { status: Status.NOT_SERVING }
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
