/** In what state a container is: from its task, or when it has none, from the record of its last run. */
import { Status } from '#api/gen/containerd/types/task/task.ts'
import type { InspectResponse } from '#api/gen/gantry/services/containers/v1/containers.ts'
import type { Timestamp } from '#api/gen/google/protobuf/timestamp.ts'
import { humanDuration, millisecondsOf } from './times.ts'

export type StateName = 'created' | 'running' | 'paused' | 'restarting' | 'exited' | 'dead' | 'removing'

export interface ContainerState {
  name: StateName
  /** 0 when it does not run. */
  pid: number
  exitCode: number
  oomKilled: boolean
  error: string
  startedAt: Timestamp | undefined
  finishedAt: Timestamp | undefined
}

export function stateOf({
  task,
  lastRun,
  restart,
}: Pick<InspectResponse, 'task' | 'lastRun' | 'restart'>): ContainerState {
  const { startedAt, exitedAt, exitStatus = 0, oomKilled = false, error = '' } = lastRun ?? {}
  const ended = { pid: 0, oomKilled, error, startedAt }
  const running =
    task && (task.status === Status.RUNNING || task.status === Status.PAUSED || task.status === Status.PAUSING)
  if (running && startedAt && !exitedAt) {
    const name = task.status === Status.RUNNING ? 'running' : 'paused'
    return { name, ...ended, pid: task.pid, exitCode: 0, finishedAt: undefined }
  }
  if (restart?.nextAt && startedAt) return { name: 'restarting', ...ended, exitCode: exitStatus, finishedAt: exitedAt }
  if (task?.status === Status.STOPPED && startedAt)
    return { name: 'exited', ...ended, exitCode: task.exitStatus, finishedAt: exitedAt ?? task.exitedAt }
  if (!startedAt) return { name: 'created', ...ended, exitCode: exitStatus, finishedAt: undefined }
  return { name: 'exited', ...ended, exitCode: exitStatus, finishedAt: exitedAt }
}

/** It runs, or will run again in a moment: what Docker calls running. */
export const isActive = (state: ContainerState): boolean => isRunning(state) || state.name === 'restarting'

export const isRunning = ({ name }: ContainerState): boolean => name === 'running' || name === 'paused'

/** `Status` of the list: "Up 3 minutes (healthy)", "Exited (0) 2 hours ago". */
export function statusText(state: ContainerState, health: string | undefined, nowMs = Date.now()): string {
  const { name, startedAt, finishedAt, exitCode } = state
  const since = (time: Timestamp | undefined) => humanDuration(nowMs - (time ? millisecondsOf(time) : nowMs))
  if (name === 'created') return 'Created'
  if (name === 'paused') return `Up ${since(startedAt)} (Paused)`
  if (name === 'restarting') return `Restarting (${exitCode}) ${since(finishedAt)} ago`
  if (name === 'exited') return `Exited (${exitCode}) ${since(finishedAt)} ago`
  if (name !== 'running') return name === 'dead' ? 'Dead' : 'Removal In Progress'
  const hint =
    health === undefined || health === 'none' ? '' : health === 'starting' ? ' (health: starting)' : ` (${health})`
  return `Up ${since(startedAt)}${hint}`
}
