/** `containers ls|info|rm`. */

import { isGantryError } from '#api/errors/errors.ts'
import { type Container, ContainersDefinition } from '#api/gen/containerd/services/containers/v1/containers.ts'
import { ContainersServiceDefinition } from '#api/gen/gantry/services/containers/v1/containers.ts'
import { endTask, forgetStopped } from '../end-task.ts'
import { printJson } from '../output/json.ts'
import { formatLabels } from '../output/labels.ts'
import { printLines, printRecords } from '../output/table.ts'
import { formatAge, shortId } from '../output/units.ts'
import type { Session } from '../session.ts'

export async function list(session: Session, flags: { quiet?: boolean }, filters: string[]): Promise<void> {
  const { containers } = await session.client(ContainersDefinition).list({ filters })
  if (flags.quiet) return printLines(containers.map(({ id }) => id))
  if (session.json) return printRecords(containers.map(decoded), {}, true)
  printRecords(
    containers,
    {
      ID: ({ id }) => shortId(id),
      IMAGE: ({ image }) => image,
      RUNTIME: ({ runtime }) => runtime?.name ?? '',
      SNAPSHOTTER: ({ snapshotter }) => snapshotter,
      CREATED: ({ createdAt }) => formatAge(createdAt),
      LABELS: ({ labels }) => formatLabels(labels),
    },
    false,
  )
}

export async function info(session: Session, flags: { spec?: boolean }, id: string): Promise<void> {
  const { container } = await session.client(ContainersDefinition).get({ id })
  if (container === undefined) return
  if (flags.spec) return printJson(decoded(container).spec)
  printJson({ ...decoded(container), gantry: await ours(session, id) })
}

/** What is known of a container that was made here; undefined for those of other clients. */
async function ours(session: Session, id: string) {
  try {
    return await session.client(ContainersServiceDefinition).inspect({ id })
  } catch (error) {
    if (isGantryError(error, 'NOT_FOUND')) return undefined
    throw error
  }
}

/** The spec as JSON instead of bytes; extensions by type only, they are shown decoded elsewhere. */
function decoded(container: Container) {
  const spec = container.spec === undefined ? undefined : JSON.parse(container.spec.value.toString())
  return { ...container, spec, extensions: Object.keys(container.extensions) }
}

export async function remove(session: Session, flags: { force?: boolean }, ids: string[]): Promise<void> {
  for (const id of ids) {
    await (flags.force ? forceRemove(session, id) : removeStopped(session, id))
    console.log(id)
  }
}

async function removeStopped(session: Session, id: string): Promise<void> {
  await forgetStopped(session, id)
  await session.client(ContainersDefinition).delete({ id })
}

/** Ends its task too. One made with --rm may be gone by itself once its task has ended. */
async function forceRemove(session: Session, id: string): Promise<void> {
  const containers = session.client(ContainersDefinition)
  await containers.get({ id })
  await endTask(session, id)
  await containers.delete({ id }).catch(error => {
    if (!isGantryError(error, 'NOT_FOUND')) throw error
  })
}
