/** `tasks exec`: another process in a running container. */
import { randomBytes } from 'node:crypto'
import { failedPrecondition, invalidArgument } from '#api/errors/errors.ts'
import { ContainersDefinition } from '#api/gen/containerd/services/containers/v1/containers.ts'
import { TasksDefinition } from '#api/gen/containerd/services/tasks/v1/tasks.ts'
import { ContainersServiceDefinition } from '#api/gen/gantry/services/containers/v1/containers.ts'
import { Exit } from '../exit.ts'
import type { Session } from '../session.ts'
import { attach } from '../stdio/attach-client.ts'
import { join } from '../stdio/terminal.ts'

interface ExecFlags {
  tty?: boolean
  interactive?: boolean
  detach?: boolean
  env: string[]
  workdir?: string
  user?: string
  execId?: string
}

/** The part of OCI's process that exec changes; the rest is the container's own. */
interface OciProcess {
  terminal?: boolean
  args: string[]
  env?: string[]
  cwd: string
  user?: { uid: number; gid: number }
}

const processTypeUrl = 'types.containerd.io/opencontainers/runtime-spec/1/Process'

export async function exec(session: Session, flags: ExecFlags, id: string, command: string[]): Promise<void> {
  const tasks = session.client(TasksDefinition)
  const execId = flags.execId ?? `exec-${randomBytes(6).toString('hex')}`
  const [spec, { paths }] = await Promise.all([
    processSpec(session, flags, id, command),
    session.client(ContainersServiceDefinition).inspect({ id, execId }),
  ])
  const socket = paths?.attachSocket ?? ''
  const stdout = `gantry://${socket}?stdin=${flags.interactive ? 'once' : 'none'}`
  await tasks.exec({
    containerId: id,
    execId,
    stdout,
    terminal: flags.tty ?? false,
    spec: { typeUrl: processTypeUrl, value: spec },
  })
  await using forget = new AsyncDisposableStack()
  forget.defer(async () => void (await tasks.deleteProcess({ containerId: id, execId }).catch(() => {})))
  // Awaited here: leaving this function runs what `forget` holds.
  if (flags.detach) return await startDetached(session, id, execId, forget)
  await using attachment = await attach(socket, {
    stdin: flags.interactive ?? false,
    stdout: true,
    stderr: true,
    replay: false,
  })
  await tasks.start({ containerId: id, execId })
  const exit = await join(attachment, { stdin: flags.interactive ?? false, tty: flags.tty ?? false })
  if (exit === undefined) return void forget.move()
  await forget.disposeAsync()
  if (exit.exitCode !== 0) throw new Exit(exit.exitCode)
}

async function startDetached(
  session: Session,
  id: string,
  execId: string,
  forget: AsyncDisposableStack,
): Promise<void> {
  await session.client(TasksDefinition).start({ containerId: id, execId })
  forget.move()
  console.log(execId)
}

async function processSpec(session: Session, flags: ExecFlags, id: string, args: string[]): Promise<Buffer> {
  const { container } = await session.client(ContainersDefinition).get({ id })
  const spec = JSON.parse(container?.spec?.value.toString() || '{}') as { process?: OciProcess }
  if (spec.process === undefined)
    throw failedPrecondition(`container "${id}" has no process in its spec to copy defaults from`)
  const process: OciProcess = {
    ...spec.process,
    args,
    terminal: flags.tty ?? false,
    env: [...(spec.process.env ?? []), ...flags.env],
  }
  if (flags.workdir !== undefined) process.cwd = flags.workdir
  if (flags.user !== undefined) process.user = numericUser(flags.user)
  return Buffer.from(JSON.stringify(process))
}

function numericUser(text: string): { uid: number; gid: number } {
  const [, uid, gid = '0'] = /^(\d+)(?::(\d+))?$/.exec(text) ?? []
  if (uid === undefined) throw invalidArgument(`--user "${text}" is not numeric; exec takes uid[:gid]`)
  return { uid: Number(uid), gid: Number(gid) }
}
