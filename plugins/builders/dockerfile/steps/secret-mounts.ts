/** `RUN --mount=type=secret` and `type=ssh`: what a client hands over for a step, and no layer, history or key holds. */
import { chmod, chown, lstat, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { invalidArgument, notFound } from '#api/errors/errors.ts'
import type { RunMount } from '../language/mount.ts'
import type { MountPlaces, StepMounts } from './run-mounts.ts'

const nothing: StepMounts = { mounts: [], env: [] }

/** A file of its own, in a variable, or both. NOT_FOUND: it is required and was not handed over. */
export async function secretMount(
  { id, required, target, env, mode = 0o400, uid, gid }: RunMount,
  { secrets, state }: MountPlaces,
  undo: AsyncDisposableStack,
): Promise<StepMounts> {
  const value = Object.hasOwn(secrets, id) ? secrets[id] : undefined
  if (value === undefined) return orNothing(required, `secret "${id}", which RUN requires: hand it over with --secret`)
  const variables = env === '' ? [] : [`${env}=${value.toString()}`]
  if (env !== '' && target === '') return { mounts: [], env: variables }
  const folder = join(state, `secret-${crypto.randomUUID()}`)
  undo.defer(() => rm(folder, { recursive: true, force: true }))
  await mkdir(folder, { mode: 0o700 })
  const file = join(folder, 'value')
  await writeFile(file, value, { mode: 0o400 })
  await chown(file, uid, gid)
  await chmod(file, mode)
  const mount = { type: 'bind', source: file, target: target || `/run/secrets/${id}`, options: ['bind', 'ro'] }
  return { mounts: [mount], env: variables }
}

/** The client's agent, at a socket that SSH_AUTH_SOCK names. NOT_FOUND as above; INVALID_ARGUMENT: it is no socket. */
export async function agentMount({ id, required, target }: RunMount, { agents }: MountPlaces): Promise<StepMounts> {
  const socket = Object.hasOwn(agents, id) ? agents[id] : undefined
  if (socket === undefined) return orNothing(required, `ssh agent "${id}", which RUN requires: hand it over with --ssh`)
  const stats = await lstat(socket).catch(() => undefined)
  if (!stats?.isSocket()) throw invalidArgument(`ssh agent "${id}": "${socket}" is not a socket`)
  const place = target || `/run/buildkit/ssh_agent.${id}`
  const mount = { type: 'bind', source: socket, target: place, options: ['bind'] }
  return { mounts: [mount], env: [`SSH_AUTH_SOCK=${place}`] }
}

function orNothing(required: boolean, what: string): StepMounts {
  if (required) throw notFound(what)
  return nothing
}
