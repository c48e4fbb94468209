/** Ends a container's task: at once, or asked first. */
import { constants } from 'node:os'
import { isGantryError } from '#api/errors/errors.ts'
import { TasksDefinition } from '#api/gen/containerd/services/tasks/v1/tasks.ts'
import { Status } from '#api/gen/containerd/types/task/task.ts'
import type { Session } from './session.ts'

/** How long a killed process may take to be gone. */
const deadlineMs = 10_000

/** Kills the task and forgets it; nothing to do is success. */
export async function endTask(session: Session, containerId: string): Promise<void> {
  const tasks = session.client(TasksDefinition)
  try {
    const gone = tasks.wait({ containerId }, { deadlineMs })
    gone.catch(() => {})
    await tasks.kill({ containerId, signal: constants.signals.SIGKILL, all: true }).catch(alreadyStopped)
    await gone
    await tasks.delete({ containerId })
  } catch (error) {
    if (!isGantryError(error, 'NOT_FOUND')) throw error
  }
}

/** A task that has ended makes room, for the next one or for the removal of its container; one that runs stays. */
export async function forgetStopped(session: Session, containerId: string): Promise<void> {
  const tasks = session.client(TasksDefinition)
  try {
    const { process } = await tasks.get({ containerId })
    if (process?.status === Status.STOPPED) await tasks.delete({ containerId })
  } catch (error) {
    if (!isGantryError(error, 'NOT_FOUND')) throw error
  }
}

/** NOT_FOUND: no task, or its process is gone; the delete that follows tells which. */
function alreadyStopped(error: unknown): void {
  if (!isGantryError(error, 'NOT_FOUND') && !isGantryError(error, 'FAILED_PRECONDITION')) throw error
}

/** Asks the first process to end, waits `graceMs`, then kills what is left. The exit status. */
export async function stopTask(
  session: Session,
  containerId: string,
  signal: number,
  graceMs: number,
): Promise<number> {
  const tasks = session.client(TasksDefinition)
  const gone = tasks.wait({ containerId })
  gone.catch(() => {})
  await tasks.kill({ containerId, signal }).catch(alreadyStopped)
  const late = setTimeout(() => {
    // Whether it worked is told by `gone`.
    tasks.kill({ containerId, signal: constants.signals.SIGKILL, all: true }).catch(() => {})
  }, graceMs)
  try {
    return (await gone).exitStatus
  } finally {
    clearTimeout(late)
  }
}
