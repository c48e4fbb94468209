/** RUN: a container of the core's on the root so far; what it leaves behind is the layer. */
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { attach } from '#api/attach/attach-client.ts'
import { failedPrecondition } from '#api/errors/errors.ts'
import type { Core } from '../core/clients.ts'
import { ignoreMissing, stepLabel } from '../core/sweep.ts'
import type { RunCommand } from './command-line.ts'
import type { ContainerMount } from './run-mounts.ts'

export interface RunRequest {
  readonly id: string
  readonly image: string
  readonly snapshotter: string
  readonly command: RunCommand
  readonly env: readonly string[]
  readonly workingDir: string
  readonly user: string
  /** Empty: the container's own. */
  readonly hostname: string
  readonly network: string
  readonly extraHosts: readonly string[]
  readonly privileged: boolean
  readonly mounts: readonly ContainerMount[]
  readonly lease: string
  readonly signal: AbortSignal
  /** Private folder for scripts. */
  readonly state: string
  output(stream: 'stdout' | 'stderr', bytes: Buffer): void
}

/**
 * Runs in the active snapshot that bears the container's id. FAILED_PRECONDITION: it ended with another code than 0.
 * `afterwards`: the record goes when the snapshot is committed, for the core removes a container's snapshot with it.
 */
export async function runContainer(core: Core, request: RunRequest, afterwards: AsyncDisposableStack): Promise<void> {
  const { id, lease, signal } = request
  await using undo = new AsyncDisposableStack()
  const mounts = [...request.mounts, ...(await scriptMounts(request, undo))].map(mount => ({ ...mount }))
  const { paths } = await core.containers.create({ config: { ...configOf(request), mounts } }, { lease, signal })
  afterwards.defer(() => ignoreMissing(core.records.delete({ id })))
  await core.tasks.create({ containerId: id }, { lease, signal })
  undo.defer(() => ignoreMissing(core.tasks.delete({ containerId: id })))
  const exitCode = await exitOf(core, request, paths?.attachSocket ?? '')
  signal.throwIfAborted()
  if (exitCode !== 0)
    throw failedPrecondition(`The command '${request.command.text}' returned a non-zero code: ${exitCode}`, {
      bare: true,
    })
}

async function exitOf(core: Core, { id, signal, output }: RunRequest, socket: string): Promise<number> {
  await using streams = await attach(socket, { stdin: false, stdout: true, stderr: true, replay: false })
  const kill = () => void core.tasks.kill({ containerId: id, signal: 9, all: true }).catch(() => {})
  signal.addEventListener('abort', kill)
  try {
    await core.tasks.start({ containerId: id })
    // An abort before the start had nothing to kill.
    if (signal.aborted) kill()
    for await (const received of streams.received) {
      if ('exit' in received) return received.exit.exitCode
      output(received.stream, received.bytes)
    }
    return (await core.tasks.wait({ containerId: id })).exitStatus
  } finally {
    signal.removeEventListener('abort', kill)
  }
}

function configOf(request: RunRequest) {
  const { id, image, snapshotter, command, env, workingDir, user, network, extraHosts, privileged, hostname } = request
  return {
    id,
    image,
    snapshotter,
    process: { args: [...command.args], overrideEntrypoint: true, env: [...env], cwd: workingDir || '/', user },
    networks: [{ network }],
    hostname,
    extraHosts: [...extraHosts],
    privileged,
    log: { driver: 'none' },
    labels: { [stepLabel]: 'step' },
  }
}

async function scriptMounts({ command, state, id }: RunRequest, undo: AsyncDisposableStack) {
  if (command.script === undefined) return []
  const folder = join(state, `script-${id}`)
  await mkdir(folder, { mode: 0o700 })
  undo.defer(() => rm(folder, { recursive: true, force: true }))
  const source = join(folder, posix.basename(command.script.path))
  await writeFile(source, command.script.content, { mode: 0o755 })
  return [{ type: 'bind', source, target: command.script.path, options: ['bind', 'ro'] }]
}
