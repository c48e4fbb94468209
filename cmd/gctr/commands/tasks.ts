/** `tasks ls|stop|kill|pause|resume|wait|ps|rm`. */
import { TasksDefinition } from '#api/gen/containerd/services/tasks/v1/tasks.ts'
import type { Process } from '#api/gen/containerd/types/task/task.ts'
import { endTask, stopTask } from '../end-task.ts'
import { Exit } from '../exit.ts'
import { printJson } from '../output/json.ts'
import { printLines, printRecords } from '../output/table.ts'
import { formatTime, parseDuration, shortId } from '../output/units.ts'
import type { Session } from '../session.ts'
import { signalNumber } from '../signal-names.ts'
import { statusName } from './ps.ts'

export async function list(session: Session, flags: { quiet?: boolean }): Promise<void> {
  const { tasks } = await session.client(TasksDefinition).list({})
  if (flags.quiet) return printLines(tasks.map(({ id }) => id))
  if (session.json)
    return printRecords(
      tasks.map(task => ({ ...task, status: statusName(task) })),
      {},
      true,
    )
  printRecords<Process>(tasks, { TASK: ({ id }) => shortId(id), PID: ({ pid }) => pid, STATUS: statusName }, false)
}

export async function kill(
  session: Session,
  flags: { signal: string; execId?: string; all?: boolean },
  containerId: string,
): Promise<void> {
  const signal = signalNumber(flags.signal)
  await session
    .client(TasksDefinition)
    .kill({ containerId, execId: flags.execId ?? '', signal, all: flags.all ?? false })
}

/** Prints the exit status; it is not this command's own. */
export async function stop(
  session: Session,
  flags: { signal: string; time: string },
  containerId: string,
): Promise<void> {
  const graceMs = parseDuration(flags.time, '--time') * 1000
  console.log(await stopTask(session, containerId, signalNumber(flags.signal), graceMs))
}

export async function pause(session: Session, _flags: unknown, containerId: string): Promise<void> {
  await session.client(TasksDefinition).pause({ containerId })
}

export async function resume(session: Session, _flags: unknown, containerId: string): Promise<void> {
  await session.client(TasksDefinition).resume({ containerId })
}

/** Ends with the process' own exit code. */
export async function wait(session: Session, flags: { execId?: string }, containerId: string): Promise<void> {
  const { exitStatus, exitedAt } = await session
    .client(TasksDefinition)
    .wait({ containerId, execId: flags.execId ?? '' })
  if (session.json) printJson({ id: containerId, exitStatus, exitedAt: formatTime(exitedAt) })
  else console.log(exitStatus)
  if (exitStatus !== 0) throw new Exit(exitStatus)
}

export async function processes(session: Session, _flags: unknown, containerId: string): Promise<void> {
  const { processes } = await session.client(TasksDefinition).listPids({ containerId })
  printRecords(processes, { PID: ({ pid }) => pid }, session.json)
}

export async function remove(session: Session, flags: { force?: boolean }, ids: string[]): Promise<void> {
  for (const id of ids) {
    if (flags.force) await endTask(session, id)
    else await session.client(TasksDefinition).delete({ containerId: id })
    console.log(id)
  }
}
