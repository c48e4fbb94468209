import { isGantryError, notFound } from '#api/errors/errors.ts'
import type { Bootstrap } from '#core/tasks/tasks.ts'
import type { Sandboxes } from './sandboxes.ts'
import type { ShimController } from './shim-controller.ts'

/** From this version of the shim protocol on, one shim serves a sandbox and its tasks. */
const sandboxVersion = 3

/**
 * The shim that the tasks of a sandbox belong into. Undefined, so that they get shims of their own: there is no record of such a
 * sandbox (it is a mere name, as in containerd before 2.0), or its shim is of that time. NOT_FOUND: a record whose sandbox does
 * not run.
 */
export async function shimForTasks(
  { sandboxes, shims }: { sandboxes: Sandboxes; shims: ShimController },
  ns: string,
  sandboxId: string,
): Promise<Bootstrap | undefined> {
  if (!(await isRecorded(sandboxes, ns, sandboxId))) return undefined
  const bootstrap = await shims.bootstrapOf(ns, sandboxId)
  if (bootstrap === undefined) throw notFound(`can't find shim for sandbox ${sandboxId}`)
  return bootstrap.version >= sandboxVersion ? bootstrap : undefined
}

async function isRecorded(sandboxes: Sandboxes, ns: string, id: string): Promise<boolean> {
  try {
    await sandboxes.get(ns, id)
    return true
  } catch (error) {
    if (isGantryError(error, 'NOT_FOUND')) return false
    throw error
  }
}
