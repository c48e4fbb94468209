/** What a builder that was killed left behind: mounted roots, containers of steps, leases. */
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { isGantryError } from '#api/errors/errors.ts'
import { NamespacesDefinition } from '#api/gen/containerd/services/namespaces/v1/namespaces.ts'
import { connect, createClient } from '#api/rpc/client.ts'
import { unmount } from '#api/sys/sys.ts'
import { type Core, connectCore } from './clients.ts'

/** Label of the containers that RUN steps make. */
export const stepLabel = 'gantry.io/build'
/** Begins the ids of a build's leases. */
export const leasePrefix = 'build-'

/** Every build of a former process is over. Idempotent; a second kill leaves the rest to the next start. */
export async function sweepLeftovers(coreAddress: string, state: string): Promise<void> {
  await sweepMounts(state)
  const channel = connect(coreAddress, {})
  const { namespaces } = await createClient(NamespacesDefinition, channel)
    .list({})
    .finally(() => channel.close())
  for (const { name } of namespaces) {
    const core = connectCore(coreAddress, name)
    await sweepNamespace(core).finally(() => core.close())
  }
}

async function sweepMounts(state: string): Promise<void> {
  for (const build of await readdir(state)) {
    const folder = join(state, build)
    for (const entry of await readdir(folder).catch(() => []))
      if (entry.startsWith('view-')) await unmount(join(folder, entry), { detach: true })
    await rm(folder, { recursive: true, force: true })
  }
}

async function sweepNamespace(core: Core): Promise<void> {
  const { containers } = await core.records.list({ filters: [`labels."${stepLabel}"`] })
  for (const { id } of containers) {
    await ignoreMissing(core.tasks.kill({ containerId: id, signal: 9, all: true }))
    await ignoreMissing(core.tasks.wait({ containerId: id }))
    await ignoreMissing(core.tasks.delete({ containerId: id }))
    await ignoreMissing(core.records.delete({ id }))
  }
  const { leases } = await core.leases.list({ filters: [`id~=/^${leasePrefix}/`] })
  for (const { id } of leases) await ignoreMissing(core.leases.delete({ id }))
}

export async function ignoreMissing(call: Promise<unknown>): Promise<void> {
  try {
    await call
  } catch (error) {
    if (!isGantryError(error, 'NOT_FOUND')) throw error
  }
}
