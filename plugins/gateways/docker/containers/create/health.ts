/** Docker's health check as the core's. */
import type { ContainerConfig } from '#api/gen/gantry/services/containers/v1/containers.ts'
import type { Input } from '#api/rpc/definition.ts'
import { parseNetworkProbe } from '../../health/network-probe.ts'
import { probeCommand } from '../../health/probe.ts'
import type { Config } from './body.ts'

/** Undefined: the container has none, or the check of its image was taken back (`NONE`). */
export function healthCheck(config: Config): Input<NonNullable<ContainerConfig['healthCheck']>> | undefined {
  const command = probeCommand({ config })
  if (!command) return undefined
  const { Test, Interval = 0, Timeout = 0, StartPeriod = 0, StartInterval = 0, Retries = 0 } = config.Healthcheck ?? {}
  const address = parseNetworkProbe(Test ?? [])?.url.href
  return {
    ...(address === undefined ? { command } : { address }),
    intervalMs: milliseconds(Interval),
    timeoutMs: milliseconds(Timeout),
    startPeriodMs: milliseconds(StartPeriod),
    startIntervalMs: milliseconds(StartInterval),
    retries: Retries,
  }
}

/** Docker takes nothing between 0, the default, and a millisecond. */
const milliseconds = (nanoseconds: number) => BigInt(Math.round(nanoseconds / 1e6))
