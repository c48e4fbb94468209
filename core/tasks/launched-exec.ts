/** What the core adds to a further process of a launched container. */
import { invalidArgument } from '#api/errors/errors.ts'
import type { Any } from '#api/gen/google/protobuf/any.ts'
import type { Containers } from '#core/containers/containers.ts'
import { launchConfigOf, type PlacesOf } from '#core/launch/launch.ts'
import type { Snapshots } from '#core/snapshots/snapshots.ts'
import { completeProcess, decodeSpecJson, encodeSpecJson, resolveUser, type SpecProcess } from '#core/spec/spec.ts'
import { readAccountFiles } from './root-files.ts'
import { execStdout } from './stdio.ts'
import type { ExecWish } from './tasks.ts'

export interface LaunchedExecParts {
  containers: Containers
  snapshots: Snapshots
  placesOf: PlacesOf
}

/** INVALID_ARGUMENT: no process, one that is not JSON, or a user whom the container does not know. */
export async function prepareExec(parts: LaunchedExecParts, ns: string, id: string, wish: ExecWish): Promise<ExecWish> {
  const isUnnamed = wish.stdin === '' && wish.stdout === '' && wish.stderr === ''
  const stdout = isUnnamed ? execStdout(parts.placesOf(ns, id), wish.execId) : wish.stdout
  return { ...wish, stdout, spec: await withUserNumbers(parts, ns, id, wish.spec) }
}

/** A process that names its user (`user.username`, as the record of the container does) gets the numbers. */
async function withUserNumbers(parts: LaunchedExecParts, ns: string, id: string, spec: Any | undefined): Promise<Any> {
  if (!spec) throw invalidArgument('spec: the process to run must be set')
  const process = parseProcess(spec)
  if (process.user?.username === undefined) return spec
  const container = await parts.containers.get(ns, id)
  const mounts = await parts.snapshots.on(container.snapshotter).mounts(ns, container.snapshotKey)
  const groups = launchConfigOf(container)?.process?.additionalGroups ?? []
  const user = resolveUser(process.user.username, groups, await readAccountFiles(mounts))
  const complete = completeProcess({ ...process, env: process.env ?? [] }, user)
  return { typeUrl: spec.typeUrl, value: encodeSpecJson(complete) }
}

function parseProcess(spec: Any): SpecProcess {
  try {
    return decodeSpecJson(spec.value) as SpecProcess
  } catch (cause) {
    throw invalidArgument('spec: the process is not JSON', { cause })
  }
}
