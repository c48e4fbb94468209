import { notFound } from '#api/errors/errors.ts'
import { type HealthDefinition, HealthCheckResponse_ServingStatus as Status } from '#api/gen/grpc/health/v1/health.ts'
import type { ServiceImpl } from '#api/rpc/server.ts'
import type { Health } from './health.ts'

const daemon = ''

/** grpc.health.v1.Health. `services`: full names of the services there are. */
export function healthService(health: Health, services: Iterable<string>): ServiceImpl<typeof HealthDefinition> {
  const known = new Set([daemon, ...services])
  const statusOf = (serving: boolean) => ({ status: serving ? Status.SERVING : Status.NOT_SERVING })
  return {
    async check({ service }) {
      if (!known.has(service)) throw notFound(`unknown service ${service}`, { bare: true })
      return statusOf(health.serving)
    },
    async list() {
      const status = statusOf(health.serving)
      return { statuses: Object.fromEntries(Array.from(known, service => [service, status])) }
    },
    async *watch({ service }, { signal }) {
      if (!known.has(service)) {
        // The protocol keeps the stream open: the service may come.
        yield { status: Status.SERVICE_UNKNOWN }
        await aborted(signal)
        return
      }
      yield* changes(health, signal, statusOf)
    },
  }
}

async function* changes<T>(health: Health, signal: AbortSignal, statusOf: (serving: boolean) => T): AsyncGenerator<T> {
  let wake = Promise.withResolvers<void>()
  health.onChange(() => wake.resolve(), signal)
  signal.addEventListener('abort', () => wake.resolve(), { once: true })
  for (let told: boolean | undefined; !signal.aborted; await wake.promise) {
    wake = Promise.withResolvers()
    if (health.serving === told) continue
    told = health.serving
    yield statusOf(told)
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  if (signal.aborted) resolve()
  else signal.addEventListener('abort', () => resolve(), { once: true })
  return promise
}
