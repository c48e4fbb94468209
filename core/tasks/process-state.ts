/** A process as containerd's clients see it. */
import type { StateResponse } from '#api/gen/containerd/task/v3/task.ts'
import { type Process, Status } from '#api/gen/containerd/types/task/task.ts'
import type { RunningTask } from './running-task.ts'
import type { ShimApi } from './shim-connection.ts'

type Known = Pick<RunningTask, 'id' | 'pid' | 'status' | 'end'>

interface Described {
  readonly id: string
  readonly pid: number
  readonly shim: ShimApi
}

/** What is known of it without asking its shim. */
export function knownProcess({ id, pid, status, end }: Known): Process {
  const { exitStatus = 0, exitedAt } = end ?? {}
  return { ...unasked, containerId: id, id, pid, status, exitStatus, exitedAt }
}

const unasked = { terminal: false, stdin: '', stdout: '', stderr: '' }

/** A shim that does not answer makes the state UNKNOWN. */
export async function describeTask(task: Described): Promise<Process> {
  try {
    return toProcess(await task.shim.state({ id: task.id }), task)
  } catch {
    return {
      ...{ ...unasked, containerId: task.id, id: task.id, pid: task.pid },
      ...{ status: Status.UNKNOWN, exitStatus: 0, exitedAt: undefined },
    }
  }
}

export function toProcess(state: StateResponse, { id }: Pick<Described, 'id'>): Process {
  const { pid, status, stdin, stdout, stderr, terminal, exitStatus, exitedAt } = state
  return { containerId: id, id: state.execId || id, pid, status, stdin, stdout, stderr, terminal, exitStatus, exitedAt }
}
