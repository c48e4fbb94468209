/**
 * `auto_remove` of launched containers (`run --rm`): when the first process has exited, task and container go, whoever is
 * still watching. Its shim serves clients that are still attached to their end before it goes.
 * What a crash cuts short is finished by the next start: adopt.ts removes such containers when they have been started
 * and have no task any more.
 */
import { isGantryError, messageOf } from '#api/errors/errors.ts'
import type { Logger } from '#api/log/log.ts'
import type { Containers } from '#core/containers/containers.ts'
import { launchConfigOf } from '#core/launch/launch.ts'

export interface AutoRemoveParts {
  containers: Pick<Containers, 'get'>
  /** With all that a launched container owns. */
  deleteContainer(ns: string, id: string): Promise<void>
  logger: Logger
}

/** Never throws: a failure is logged, and left to the next start. */
export async function autoRemove(
  { containers, deleteContainer, logger }: AutoRemoveParts,
  ns: string,
  id: string,
  deleteTask: () => Promise<unknown>,
): Promise<void> {
  try {
    if (!launchConfigOf(await containers.get(ns, id))?.autoRemove) return
    await deleteTask().catch(unlessMissing)
    await deleteContainer(ns, id)
  } catch (error) {
    if (!isGantryError(error, 'NOT_FOUND')) logger.warn({ ns, id, err: error }, `auto-remove: ${messageOf(error)}`)
  }
}

/** Somebody else may be removing it too: what is gone is gone. */
function unlessMissing(error: unknown): void {
  if (!isGantryError(error, 'NOT_FOUND')) throw error
}
