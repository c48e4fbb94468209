/** Health as the core knows it: from a shim that probes, or what the gateway recorded of its own probes. */

import type { Found } from '../containers/found.ts'
import type { Health } from '../containers/record.ts'
import { healthJson } from './health-json.ts'
import { probeCommand } from './probe.ts'

/** Extension of the container's record; its value is JSON. */
export const healthExtension = 'gantry.docker.v1.Health'

export const freshHealth = (): Health => ({ Status: 'starting', FailingStreak: 0, Log: [] })

/** Undefined for a container without a check. */
export function knownHealth(found: Found): Health | undefined {
  if (probeCommand(found.record) === undefined) return undefined
  const { health } = found.core
  return health ? healthJson(health) : (recordedHealth(found) ?? freshHealth())
}

export function recordedHealth({ core }: Pick<Found, 'core'>): Health | undefined {
  const value = core.extensions[healthExtension]?.value
  return value && (JSON.parse(value.toString()) as Health)
}
