/** `tasks exec`: another process in a running container. */
import { randomBytes } from 'node:crypto'
import { attach } from '#api/attach/attach-client.ts'
import { failedPrecondition } from '#api/errors/errors.ts'
import { ContainersDefinition } from '#api/gen/containerd/services/containers/v1/containers.ts'
import { TasksDefinition } from '#api/gen/containerd/services/tasks/v1/tasks.ts'
import { ContainersServiceDefinition } from '#api/gen/gantry/services/containers/v1/containers.ts'
import { hostValue, stdinMode } from '../container-config.ts'
import { Exit, startFailure } from '../exit.ts'
import type { Session } from '../session.ts'
import { Signals } from '../stdio/signals.ts'
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

interface Target {
  containerId: string
  execId: string
}

/** The part of OCI's process that exec changes; the rest is the container's own. */
interface OciProcess {
  terminal?: boolean
  args: string[]
  env?: string[]
  cwd: string
  user?: { uid: number; gid: number; username?: string }
}

const processTypeUrl = 'types.containerd.io/opencontainers/runtime-spec/1/Process'

/** Ends with the exit code of the process; 125 to 127 when it could not be started. */
export async function exec(session: Session, flags: ExecFlags, id: string, command: string[]): Promise<void> {
  const execId = flags.execId ?? `exec-${randomBytes(6).toString('hex')}`
  const code = await runExec(session, flags, { containerId: id, execId }, command).catch(error => {
    throw startFailure(error)
  })
  if (code) throw new Exit(code)
}

/** Undefined when it runs on. */
async function runExec(
  session: Session,
  flags: ExecFlags,
  target: Target,
  command: string[],
): Promise<number | undefined> {
  const tasks = session.client(TasksDefinition)
  const [spec, { paths }] = await Promise.all([
    processSpec(session, flags, target.containerId, command),
    session.client(ContainersServiceDefinition).inspect({ id: target.containerId, execId: target.execId }),
  ])
  const streams = { stdin: flags.interactive ?? false, tty: flags.tty ?? false }
  const socket = paths?.attachSocket ?? ''
  await tasks.exec({
    ...target,
    stdout: `gantry://${socket}?stdin=${stdinMode({ ...flags, interactive: streams.stdin })}`,
    terminal: streams.tty,
    spec: { typeUrl: processTypeUrl, value: spec },
  })
  await using forget = new AsyncDisposableStack()
  forget.defer(async () => void (await tasks.deleteProcess(target).catch(() => {})))
  if (flags.detach) {
    await tasks.start(target)
    forget.move()
    console.log(target.execId)
    return undefined
  }
  using signals = new Signals()
  await using attachment = await attach(socket, { stdin: streams.stdin, stdout: true, stderr: true, replay: false })
  signals.check()
  await tasks.start(target)
  signals.forwardTo(session, target)
  const end = await join(attachment, streams)
  if (end === 'broken') return (await tasks.wait(target)).exitStatus
  if (end !== 'detached') return end.exitCode
  forget.move()
  return undefined
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
    env: withEnvironment(spec.process.env ?? [], flags.env.flatMap(hostValue)),
  }
  if (flags.workdir !== undefined) process.cwd = flags.workdir
  // The daemon looks the name up in the container's files.
  if (flags.user !== undefined) process.user = { uid: 0, gid: 0, username: flags.user }
  return Buffer.from(JSON.stringify(process))
}

/** Later values win. */
function withEnvironment(base: readonly string[], added: readonly string[]): string[] {
  const nameOf = (word: string) => word.slice(0, word.indexOf('='))
  return [...new Map([...base, ...added].map(word => [nameOf(word), word])).values()]
}
