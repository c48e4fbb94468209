/** `docker update`: limits and the restart policy, of the running container at once, and for its next start; and more. */
import * as z from 'zod'
import { isGantryError } from '#api/errors/errors.ts'
import { atLeast } from '../../http/api-version.ts'
import { readJson } from '../../http/body.ts'
import { optionalObject } from '../../http/go-json.ts'
import { badRequest, conflict } from '../../http/http-error.ts'
import type { Request } from '../../http/routes.ts'
import { publishContainerEvent } from '../actor.ts'
import type { ContainerParts } from '../containers.ts'
import { type HostConfig, hostConfigSchema, resourceShape, restartPolicySchema } from '../create/body.ts'
import { checkLimits, checkRestart } from '../create/check.ts'
import { rewrite } from '../rewrite.ts'
import { isRunning } from '../state.ts'
import type { Found } from '../store.ts'
import { checkConflicts } from './conflicts.ts'
import { changeNetworks, changesPorts, extended, extensionShape } from './extensions.ts'
import { linuxResources } from './linux-resources.ts'
import { rewritePorts } from './ports.ts'

const limitsSchema = z.object({ ...resourceShape, RestartPolicy: optionalObject(restartPolicySchema) })
type UpdateWish = z.output<typeof limitsSchema>
/** `null` asks for nothing, as to Docker. */
const updateSchema = z.preprocess(body => body ?? {}, limitsSchema.extend(extensionShape))

export async function updateContainer(parts: ContainerParts, reference: string, request: Request): Promise<object> {
  const { PidsLimit, ...asked } = await readJson(request, updateSchema)
  // An update could not change it before.
  const wish = { ...asked, PidsLimit: atLeast(request.apiVersion, '1.40') ? PidsLimit : undefined }
  checkLimits({ ...hostConfigSchema.parse({}), ...wish })
  const found = await parts.store.get(reference)
  checkConflicts(found.id, found.record.hostConfig, wish)
  const { Env, Labels, PortBindings, Mounts, RemoveMounts, Networks, ...limits } = wish
  const extensions = { Env, Labels, PortBindings, Mounts, RemoveMounts, Networks }
  const next = await extended(parts, found, extensions)
  const hostConfig = merged(next.hostConfig, limits)
  checkLimits(hostConfig)
  checkRestart(wish.RestartPolicy, found.record.hostConfig.AutoRemove)
  const { core, events } = parts.engine
  if (isRunning(found.state)) await updateTask(parts, found, hostConfig)
  const record = { ...next, hostConfig }
  const warnings = changesPorts(extensions)
    ? await rewritePorts(parts, found, record)
    : await rewrite(core, found, record)
  await changeNetworks(parts, found, extensions)
  publishContainerEvent(events, found, 'update')
  return { Warnings: warnings.length === 0 ? null : warnings }
}

async function updateTask({ engine }: ContainerParts, found: Found, host: HostConfig): Promise<void> {
  const value = Buffer.from(JSON.stringify(linuxResources(host)))
  const typeUrl = 'types.containerd.io/opencontainers/runtime-spec/1/LinuxResources'
  try {
    await engine.core.tasks.update({ containerId: found.id, resources: { typeUrl, value } })
  } catch (error) {
    if (isGantryError(error, 'NOT_FOUND')) throw conflict(`container ${found.id} is not running`, { cause: error })
    throw badRequest(`Cannot update container ${found.id}: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    })
  }
}

/** A zero leaves a limit as it is, as in Docker. */
function merged(host: HostConfig, { RestartPolicy, ...limits }: UpdateWish): HostConfig {
  const given = Object.entries(limits).filter(
    ([, value]) => value !== 0 && value !== '' && value !== null && value !== undefined,
  )
  return {
    ...host,
    ...Object.fromEntries(given),
    ...(RestartPolicy?.Name && { RestartPolicy }),
  } as HostConfig
}
