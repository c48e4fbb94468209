/** What a launched container needs before its shim can create it: root, user, networks, files, and the finished spec. */
import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { isGantryError } from '#api/errors/errors.ts'
import type { ContainerConfig } from '#api/gen/gantry/services/containers/v1/containers.ts'
import { createNetns, removeNetns } from '#api/sys/sys.ts'
import { step } from '#api/trace/spans.ts'
import type { Container } from '#core/containers/containers.ts'
import { containerWishes, type Launcher, type PlacesOf } from '#core/launch/launch.ts'
import type { AttachmentRecord, Networks } from '#core/networks/networks.ts'
import type { Mount, Snapshots } from '#core/snapshots/snapshots.ts'
import {
  completeSpec,
  decodeSpecJson,
  encodeSpecJson,
  type NamespaceType,
  networkMode,
  type ResolvedUser,
  resolveUser,
  type Spec,
} from '#core/spec/spec.ts'
import type { Bundle } from './bundle.ts'
import { effectiveHostname, shareEtcFiles, writeEtcFiles } from './etc-files.ts'
import { linkHosts } from './link-hosts.ts'
import { readAccountFiles } from './root-files.ts'
import { joinShm, makeShm } from './shared-shm.ts'
import { sideBySide } from './side-by-side.ts'
import type { UndoSteps } from './undo-steps.ts'

export interface LaunchedTaskParts {
  launcher: Launcher
  networks: Networks
  snapshots: Snapshots
  placesOf: PlacesOf
  /** Path of a running container's kernel namespace. FAILED_PRECONDITION, NOT_FOUND. */
  namespaceOf(ns: string, containerId: string, type: NamespaceType): Promise<string>
  bundleOf(ns: string, containerId: string): Bundle
}

export interface LaunchedTask {
  ns: string
  container: Container
  config: ContainerConfig
  signal: AbortSignal | undefined
}

export interface PreparedTask {
  rootfs: Mount[]
  /** The complete spec. */
  configJson: Buffer
}

/** Prepares root and network side by side. What `undo` holds afterwards takes the networks away again. */
export async function prepareTask(
  parts: LaunchedTaskParts,
  task: LaunchedTask,
  undo: UndoSteps,
): Promise<PreparedTask> {
  const [root, netnsPath] = await sideBySide(prepareRoot(parts, task), prepareNetwork(parts, task, undo))
  const spec = await step('complete the spec', () =>
    completeSpec(decodeSpecJson(task.container.spec.value) as Spec, {
      user: root.user,
      netnsPath,
      namespaceOf: (id, type) => parts.namespaceOf(task.ns, id, type),
      shmOf: async id => {
        const bundle = parts.bundleOf(task.ns, id || task.container.id)
        return id === '' ? makeShm(bundle, task.config.shmSizeBytes) : joinShm(bundle)
      },
    }),
  )
  return { rootfs: root.mounts, configJson: encodeSpecJson(spec) }
}

/** The snapshot belongs to the container, not to the task: it stays when the task cannot be created. */
async function prepareRoot(
  { launcher, snapshots }: LaunchedTaskParts,
  { ns, container, config, signal }: LaunchedTask,
): Promise<{ mounts: Mount[]; user: ResolvedUser }> {
  const snapshotter = snapshots.on(container.snapshotter)
  const parent = () => launcher.rootParent(ns, container, signal)
  const mounts = await snapshotter.mounts(ns, container.snapshotKey, signal).catch(async error => {
    if (!isGantryError(error, 'NOT_FOUND')) throw error
    return snapshotter.prepare(ns, container.snapshotKey, await parent(), { signal })
  })
  const { user = '', additionalGroups = [] } = config.process ?? {}
  return {
    mounts,
    user: resolveUser(user, additionalGroups, await step('read the accounts', () => readAccountFiles(mounts))),
  }
}

/** Answers the pinned namespace; undefined where the container has none of its own. */
async function prepareNetwork(
  parts: LaunchedTaskParts,
  task: LaunchedTask,
  undo: UndoSteps,
): Promise<string | undefined> {
  const { ns, container, config } = task
  const mode = networkMode(config)
  const places = parts.placesOf(ns, container.id)
  const hostname = effectiveHostname(config)
  if (mode.kind === 'container') {
    // Refuses by name a container that is not there or not running, before its files are asked for.
    await parts.namespaceOf(ns, mode.id, 'network')
    await shareEtcFiles(parts.placesOf(ns, mode.id), places, hostname)
    return undefined
  }
  const sharesHost = mode.kind === 'host'
  if (!sharesHost) await pinNetns(places.netns, undo)
  const attachments = await attach(parts.networks, task, sharesHost ? '' : places.netns, undo)
  const links = await linkHosts(parts.networks, ns, attachments)
  await step('write hosts, resolv.conf', () =>
    writeEtcFiles(places, { config, hostname, sharesHost, attachments, links }),
  )
  return sharesHost ? undefined : places.netns
}

async function pinNetns(path: string, undo: UndoSteps): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o711 })
  undo.defer(() => removeNetns(path))
  await step('make the network namespace', () => createNetns(path))
}

async function attach(
  networks: Networks,
  { ns, container, config, signal }: LaunchedTask,
  netnsPath: string,
  undo: UndoSteps,
): Promise<AttachmentRecord[]> {
  undo.defer(() => networks.detach(ns, container.id))
  return networks.attach(ns, container.id, netnsPath, config.networks, { signal, wishes: containerWishes(config) })
}
