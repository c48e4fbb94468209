/** How a task's shim learns of the container's health check: a file of the bundle. Foreign shims pass it over. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ContainerConfig } from '#api/gen/gantry/services/containers/v1/containers.ts'
import { type Places, shimHealthCheck } from '#core/launch/launch.ts'
import { decodeSpecJson, encodeSpecJson, type Spec } from '#core/spec/spec.ts'
import type { Bundle } from './bundle.ts'

/** `configJson`: the complete spec, whose process lends the probes its user and environment. */
export async function writeHealthCheck(
  bundle: Bundle,
  config: ContainerConfig,
  configJson: Buffer,
  places: Places,
): Promise<void> {
  if (!config.healthCheck) return
  const { process = {} } = decodeSpecJson(configJson) as Spec
  const check = shimHealthCheck(config, process, places.healthSocket)
  if (check) await writeFile(join(bundle.path, 'health-check.json'), encodeSpecJson(check), { mode: 0o600 })
}
