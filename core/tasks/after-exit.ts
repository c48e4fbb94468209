/**
 * What follows the end of a launched container's first process, whoever is still watching. Its shim serves clients
 * that are still attached to their end before it goes.
 *
 * - `auto_remove` (`run --rm`): task and container go. What a crash cuts short is finished by the next start: adopt.ts
 *   removes such containers when they have been started and have no task any more.
 * - `release_on_exit`: the task goes; the container and the record of its last run stay.
 */
import { isGantryError, messageOf } from '#api/errors/errors.ts'
import type { Logger } from '#api/log/log.ts'
import type { Containers } from '#core/containers/containers.ts'
import { launchConfigOf } from '#core/launch/launch.ts'

export interface AfterExitParts {
  containers: Pick<Containers, 'get'>
  /** With all that a launched container owns. */
  deleteContainer(ns: string, id: string): Promise<void>
  logger: Logger
}

/** Never throws: a failure is logged, and left to the next start. */
export async function afterExit(
  { containers, deleteContainer, logger }: AfterExitParts,
  ns: string,
  id: string,
  deleteTask: () => Promise<unknown>,
): Promise<void> {
  try {
    const config = launchConfigOf(await containers.get(ns, id))
    if (!config?.autoRemove && !config?.releaseOnExit) return
    await deleteTask().catch(unlessMissing)
    if (config.autoRemove) await deleteContainer(ns, id)
  } catch (error) {
    if (!isGantryError(error, 'NOT_FOUND')) logger.warn({ ns, id, err: error }, `after an exit: ${messageOf(error)}`)
  }
}

/** Somebody else may be removing it too: what is gone is gone. */
function unlessMissing(error: unknown): void {
  if (!isGantryError(error, 'NOT_FOUND')) throw error
}
