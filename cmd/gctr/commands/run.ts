/** `run`, `containers create`, `tasks start`, `tasks attach`. */

import { messageOf } from '#api/errors/errors.ts'
import { ContainersDefinition } from '#api/gen/containerd/services/containers/v1/containers.ts'
import { TasksDefinition } from '#api/gen/containerd/services/tasks/v1/tasks.ts'
import {
  type ContainerConfig,
  ContainersServiceDefinition,
  type CreateResponse,
} from '#api/gen/gantry/services/containers/v1/containers.ts'
import { containerConfig } from '../container-config.ts'
import { Exit, runtimeFailed } from '../exit.ts'
import type { ContainerFlags } from '../flags.ts'
import type { Session } from '../session.ts'
import { type Attachment, attach as attachTo } from '../stdio/attach-client.ts'
import { forwardSignals } from '../stdio/signals.ts'
import { join } from '../stdio/terminal.ts'

interface RunFlags extends ContainerFlags {
  detach?: boolean
  rm?: boolean
}

/** Ends with the container's own exit code; 125 when it could not be started. */
export async function run(session: Session, flags: RunFlags, image: string, args: string[]): Promise<void> {
  const config = { ...containerConfig(image, args, flags), autoRemove: flags.rm ?? false }
  const { id, paths } = await createContainer(session, config)
  await using remains = new AsyncDisposableStack()
  remains.defer(() => removeContainer(session, id))
  const attachment = await startTask(
    session,
    id,
    paths?.attachSocket ?? '',
    !flags.detach,
    config.process?.stdin !== 'none',
  )
  if (attachment === undefined) {
    remains.move()
    console.log(id)
    return
  }
  await using _ = attachment
  const exit = await follow(session, id, attachment, flags)
  if (!flags.rm || exit === undefined) remains.move()
  await remains.disposeAsync()
  if (exit !== undefined && exit !== 0) throw new Exit(exit)
}

export async function create(session: Session, flags: ContainerFlags, image: string, args: string[]): Promise<void> {
  console.log((await createContainer(session, containerConfig(image, args, flags))).id)
}

/** Starts a container made by `create`. */
export async function start(session: Session, flags: { detach?: boolean }, id: string): Promise<void> {
  const { config, paths } = await session.client(ContainersServiceDefinition).inspect({ id })
  const stdin = config?.process?.stdin !== 'none'
  const attachment = await startTask(session, id, paths?.attachSocket ?? '', !flags.detach, stdin)
  if (attachment === undefined) return console.log(id)
  await using _ = attachment
  const exit = await follow(session, id, attachment, { tty: attachment.tty, interactive: stdin })
  if (exit) throw new Exit(exit)
}

export async function attach(session: Session, flags: { replay?: boolean }, id: string): Promise<void> {
  const { config, paths } = await session.client(ContainersServiceDefinition).inspect({ id })
  const stdin = config?.process?.stdin !== 'none'
  await using attachment = await attachTo(paths?.attachSocket ?? '', {
    stdin,
    stdout: true,
    stderr: true,
    replay: flags.replay ?? false,
  })
  const exit = await follow(session, id, attachment, { tty: attachment.tty, interactive: stdin })
  if (exit) throw new Exit(exit)
}

async function createContainer(session: Session, config: ContainerConfig): Promise<CreateResponse> {
  try {
    const response = await session.client(ContainersServiceDefinition).create({ config })
    for (const warning of response.warnings) console.error(`gctr: warning: ${warning}`)
    return response
  } catch (error) {
    throw failed(error)
  }
}

/** Attaches between Create and Start, so that no byte is missed. What was made is undone when Start fails. */
async function startTask(
  session: Session,
  id: string,
  socket: string,
  wanted: boolean,
  stdin: boolean,
): Promise<Attachment | undefined> {
  const tasks = session.client(TasksDefinition)
  await using undo = new AsyncDisposableStack()
  try {
    await tasks.create({ containerId: id })
    undo.defer(async () => void (await tasks.delete({ containerId: id }).catch(() => {})))
    const attachment = wanted ? await attachTo(socket, { stdin, stdout: true, stderr: true, replay: false }) : undefined
    await tasks.start({ containerId: id })
    undo.move()
    return attachment
  } catch (error) {
    throw failed(error)
  }
}

/** Undefined when the user detached. */
async function follow(
  session: Session,
  id: string,
  attachment: Attachment,
  flags: { tty?: boolean; interactive?: boolean },
) {
  using _ = forwardSignals(session, id, !attachment.tty)
  const exit = await join(attachment, { stdin: flags.interactive ?? false, tty: attachment.tty && (flags.tty ?? true) })
  return exit?.exitCode
}

async function removeContainer(session: Session, id: string): Promise<void> {
  await session.client(TasksDefinition).delete({ containerId: id }).catch(ignoreMissing)
  await session.client(ContainersDefinition).delete({ id }).catch(ignoreMissing)
}

function ignoreMissing(error: { code?: string }): void {
  if (error.code !== 'NOT_FOUND') throw error
}

/** 125, as Docker: the container's own process never ran. */
function failed(error: unknown): Exit {
  console.error(`gctr: ${messageOf(error)}`)
  return new Exit(runtimeFailed)
}
