/** `run`, `containers create`, `tasks start`, `tasks attach`. */

import { type Attachment, attach as attachTo } from '#api/attach/attach-client.ts'
import { failedPrecondition, isGantryError } from '#api/errors/errors.ts'
import { ContainersDefinition } from '#api/gen/containerd/services/containers/v1/containers.ts'
import { TasksDefinition } from '#api/gen/containerd/services/tasks/v1/tasks.ts'
import {
  type ContainerConfig,
  ContainersServiceDefinition,
  type CreateResponse,
} from '#api/gen/gantry/services/containers/v1/containers.ts'
import { monotonicAt } from '#api/trace/clock.ts'
import { currentScope, step, stepSince } from '#api/trace/spans.ts'
import { containerConfig } from '../container-config.ts'
import { forgetStopped } from '../end-task.ts'
import { Exit, startFailure } from '../exit.ts'
import type { ContainerFlags } from '../flags.ts'
import type { Session } from '../session.ts'
import { Signals } from '../stdio/signals.ts'
import { join } from '../stdio/terminal.ts'

interface RunFlags extends ContainerFlags {
  detach?: boolean
  rm?: boolean
}

/** Ends with the container's own exit code; 125 to 127 when it could not be started. */
export async function run(session: Session, flags: RunFlags, image: string, args: string[]): Promise<void> {
  using signals = step('catch signals', () => new Signals())
  await using remains = new AsyncDisposableStack()
  try {
    const config = step('read the flags', () => ({
      ...containerConfig(image, args, flags),
      autoRemove: flags.rm ?? false,
    }))
    const { id, paths } = await createContainer(session, config)
    remains.defer(() => removeContainer(session, id))
    const target = { id, socket: paths?.attachSocket ?? '', wanted: !flags.detach, stdin: flags.interactive ?? false }
    const attachment = await startTask(session, signals, target)
    if (attachment === undefined) {
      remains.move()
      console.log(id)
      return
    }
    const exit = await follow(session, signals, id, attachment, target.stdin)
    if (!flags.rm || exit === undefined) remains.move()
    if (exit) throw new Exit(exit)
  } catch (error) {
    throw startFailure(error)
  }
}

export async function create(session: Session, flags: ContainerFlags, image: string, args: string[]): Promise<void> {
  console.log((await createContainer(session, containerConfig(image, args, flags))).id)
}

/** Starts a container made by `create`, or one that has stopped again. */
export async function start(session: Session, flags: { detach?: boolean }, id: string): Promise<void> {
  using signals = new Signals()
  try {
    const { config, paths } = await session.client(ContainersServiceDefinition).inspect({ id })
    await forgetStopped(session, id)
    const stdin = (config?.process?.stdin ?? 'none') !== 'none'
    const target = { id, socket: paths?.attachSocket ?? '', wanted: !flags.detach, stdin }
    const attachment = await startTask(session, signals, target)
    if (attachment === undefined) return console.log(id)
    const exit = await follow(session, signals, id, attachment, stdin)
    if (exit) throw new Exit(exit)
  } catch (error) {
    throw startFailure(error)
  }
}

export async function attach(session: Session, flags: { replay?: boolean }, id: string): Promise<void> {
  const { config, paths } = await session.client(ContainersServiceDefinition).inspect({ id })
  const stdin = (config?.process?.stdin ?? 'none') !== 'none'
  using signals = new Signals()
  const streams = { stdin, stdout: true, stderr: true, replay: flags.replay ?? false }
  const attachment = await attachTo(paths?.attachSocket ?? '', streams).catch(cause => {
    throw isGantryError(cause, 'UNAVAILABLE') ? failedPrecondition(`container "${id}" has no task`, { cause }) : cause
  })
  const exit = await follow(session, signals, id, attachment, stdin)
  if (exit) throw new Exit(exit)
}

async function createContainer(session: Session, config: ContainerConfig): Promise<CreateResponse> {
  const containers = step('make the client', () => session.client(ContainersServiceDefinition))
  const response = await containers.create({ config })
  for (const warning of response.warnings) console.error(`gctr: warning: ${warning}`)
  return response
}

interface Target {
  id: string
  socket: string
  /** Attach before it starts, so that no byte is missed. */
  wanted: boolean
  stdin: boolean
}

/** What was made is undone when it cannot be started, or a signal came first. */
async function startTask(
  session: Session,
  signals: Signals,
  { id, socket, wanted, stdin }: Target,
): Promise<Attachment | undefined> {
  const tasks = step('make the client', () => session.client(TasksDefinition))
  await using undo = new AsyncDisposableStack()
  signals.check()
  await tasks.create({ containerId: id })
  undo.defer(async () => void (await tasks.delete({ containerId: id }).catch(() => {})))
  signals.check()
  const streams = { stdin, stdout: true, stderr: true, replay: false }
  const attachment = wanted ? await step('attach', () => attachTo(socket, streams)) : undefined
  if (attachment !== undefined) undo.use(attachment)
  signals.check()
  await tasks.start({ containerId: id })
  undo.move()
  return attachment
}

/** Undefined when the user detached. */
async function follow(session: Session, signals: Signals, id: string, attachment: Attachment, stdin: boolean) {
  await using _ = attachment
  signals.forwardTo(session, { containerId: id })
  const end = await step('wait for its end', () => join(attachment, { stdin, tty: attachment.tty }))
  if (end === 'detached') return undefined
  if (end !== 'broken') {
    if (currentScope() !== undefined) stepSince('hear of its end', monotonicAt(Date.parse(end.exitedAt)))
    return end.exitCode
  }
  return (await session.client(TasksDefinition).wait({ containerId: id })).exitStatus
}

async function removeContainer(session: Session, id: string): Promise<void> {
  const tasks = step('make the client', () => session.client(TasksDefinition))
  await tasks.delete({ containerId: id }).catch(ignoreMissing)
  await session.client(ContainersDefinition).delete({ id }).catch(ignoreMissing)
}

function ignoreMissing(error: unknown): void {
  if (!isGantryError(error, 'NOT_FOUND')) throw error
}
