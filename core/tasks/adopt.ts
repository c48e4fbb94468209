/**
 * After a start of the daemon: which tasks are there, and what of earlier ones is left over.
 * A bundle whose shim answers is a task. Any other bundle is what a killed daemon, a dead shim or an interrupted call left.
 */
import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isGantryError, messageOf, notFound } from '#api/errors/errors.ts'
import { TaskExit } from '#api/gen/containerd/events/task.ts'
import type { StateResponse } from '#api/gen/containerd/task/v3/task.ts'
import { Status } from '#api/gen/containerd/types/task/task.ts'
import { askHealth } from '#api/health/health-socket.ts'
import type { Logger } from '#api/log/log.ts'
import { foldersIn } from '#api/sys/folders.ts'
import { removeNetns } from '#api/sys/sys.ts'
import type { Container, Containers } from '#core/containers/containers.ts'
import { type EventExchange, eventAny } from '#core/events/events.ts'
import { type LastRuns, launchConfigOf, type PlacesOf } from '#core/launch/launch.ts'
import { now } from '#core/metadata/metadata.ts'
import type { Networks } from '#core/networks/networks.ts'
import { afterExit } from './after-exit.ts'
import {
  type Bootstrap,
  type Bundle,
  type BundleRoots,
  hideBundle,
  listBundles,
  readBootstrap,
  readShimPath,
  removeBundle,
  removeStrayWork,
} from './bundle.ts'
import { removeDeadSockets, socketPath } from './dead-sockets.ts'
import type { RunningTask } from './running-task.ts'
import { resolveShim, type ShimPlaces } from './runtime-name.ts'
import type { ShimConnection } from './shim-connection.ts'
import { followShimLog } from './shim-log.ts'
import type { TaskTable } from './task-table.ts'
import type { Teardown } from './teardown.ts'

export interface AdoptParts {
  containers: Containers
  deleteContainer(ns: string, id: string): Promise<void>
  lastRuns: LastRuns
  networks: Networks
  exchange: EventExchange
  roots: BundleRoots
  placesOf: PlacesOf
  shims: ShimPlaces
  logger: Logger
  table: TaskTable
  teardown: Teardown
  connect(bundle: Bundle, bootstrap: Bootstrap): ShimConnection
  newTask(parts: {
    bundle: Bundle
    shimPath: string
    connection: ShimConnection
    log: Disposable
    pid: number
    status: Status
    isLaunched: boolean
  }): RunningTask
}

/** Keeps both processors busy. */
const adoptedAtOnce = 32

/** How long a shim may take to answer before it counts as dead (containerd's load timeout). */
const answerTimeoutMs = 5000

/** A shim's `start` takes some ten milliseconds. */
const startTimeoutMs = 500
const pollMs = 20

export async function adoptTasks(parts: AdoptParts): Promise<void> {
  const { bundles, hidden } = await listBundles(parts.roots)
  await Promise.all([
    someAtOnce(bundles, bundle => adoptOne(parts, bundle)),
    someAtOnce(hidden, path => removeBundle(path)),
  ])
  const isKnown = (ns: string, id: string) => parts.table.has(ns, id)
  await Promise.all([
    removeStrayWork(parts.roots, isKnown),
    removeStrayPins(parts, isKnown),
    removeStrayFolders(parts),
    ...['a', 's'].map(folder => removeDeadSockets(join(parts.roots.state, folder), socketsInUse(parts))),
  ])
  settleRuns(parts)
  const alive = parts.table.list().filter(task => task.launched)
  await parts.networks.reconcile(alive.map(({ namespace, id }) => ({ namespace, containerId: id })))
}

/**
 * With a thousand at once the last would wait for the others longer than {@link answerTimeoutMs}, and a shim that lives would
 * count as dead.
 */
async function someAtOnce<T>(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<void> {
  const left = items.values()
  const worker = async () => {
    for (const item of left) await work(item)
  }
  await Promise.all(Array.from({ length: adoptedAtOnce }, worker))
}

/** Of shims that have just answered: to try each would wake them all again. */
function socketsInUse({ table, placesOf }: AdoptParts): ReadonlySet<string> {
  return new Set(
    table.list().flatMap(({ namespace, id, connection }) => {
      const { attachSocket, healthSocket } = placesOf(namespace, id)
      return [attachSocket(''), healthSocket, socketPath(connection.bootstrap.address)]
    }),
  )
}

/** Status of a process whose end nobody saw (containerd's). */
const unseenStatus = 255

/** A run without a task ended while we were away, shim and all. */
function settleRuns({ lastRuns, table }: AdoptParts): void {
  for (const { namespace, id } of lastRuns.open())
    if (!table.has(namespace, id)) lastRuns.exited(namespace, id, { exitStatus: unseenStatus, exitedAt: now() })
}

async function adoptOne(parts: AdoptParts, bundle: Bundle): Promise<void> {
  const { namespace: ns, id } = bundle
  try {
    const task = await takeOver(parts, bundle)
    if (task) parts.logger.info({ ns, id, pid: task.pid }, 'adopted a task')
  } catch (error) {
    parts.logger.warn({ ns, id }, `a bundle has no living shim (${messageOf(error)}): taking it away`)
    await removeDead(parts, bundle)
  }
}

/** Undefined: the shim lives but has no container, so it was asked to end. Throws when it does not answer. */
async function takeOver(parts: AdoptParts, bundle: Bundle): Promise<RunningTask | undefined> {
  const bootstrap = (await readBootstrap(bundle)) ?? (await bootstrapInFlight(bundle))
  if (!bootstrap) throw notFound(`bootstrap.json of ${bundle.path}`)
  const connection = parts.connect(bundle, bootstrap)
  try {
    const state = await stateOf(connection, bundle.id)
    const task = await newTask(parts, bundle, connection, state)
    if (!state || state.pid === 0) {
      if (task.sandboxed) await parts.teardown.leaveSandbox(task.id, connection)
      else await parts.teardown.destroyShim(bundle, task.shimPath, connection)
      await parts.teardown.release(task)
      return undefined
    }
    parts.table.set(task)
    await refreshHealth(parts, bundle)
    if (state.status === Status.STOPPED) tellExit(parts, task, state)
    return task
  } catch (error) {
    connection[Symbol.dispose]()
    throw error
  }
}

/** Its status may have changed while nobody listened. */
async function refreshHealth({ lastRuns, placesOf }: AdoptParts, { namespace, id }: Bundle): Promise<void> {
  const { healthSocket } = placesOf(namespace, id)
  const health = existsSync(healthSocket) ? await askHealth(healthSocket) : undefined
  if (health) lastRuns.healthChanged(namespace, id, health)
}

/** A `start` that the killed daemon had just begun goes on without it, and writes the shim's address in a moment. */
async function bootstrapInFlight(bundle: Bundle): Promise<Bootstrap | undefined> {
  for (let waitedMs = 0; waitedMs < startTimeoutMs; waitedMs += pollMs) {
    await sleep(pollMs)
    const bootstrap = await readBootstrap(bundle)
    if (bootstrap) return bootstrap
  }
  return undefined
}

async function stateOf(connection: ShimConnection, id: string): Promise<StateResponse | undefined> {
  try {
    return await connection.api.state({ id }, { deadlineMs: answerTimeoutMs })
  } catch (error) {
    if (isGantryError(error, 'NOT_FOUND')) return undefined
    throw error
  }
}

async function newTask(
  parts: AdoptParts,
  bundle: Bundle,
  connection: ShimConnection,
  state: StateResponse | undefined,
): Promise<RunningTask> {
  const container = await recordOf(parts, bundle)
  const log = await followShimLog(bundle, parts.logger)
  const shimPath = await shimPathOf(parts, bundle, container)
  const { pid = 0, status = Status.UNKNOWN } = state ?? {}
  const isLaunched = wasLaunched(parts, bundle, container)
  return parts.newTask({ bundle, shimPath, connection, log, pid, status, isLaunched })
}

/** Without a record, what the core made for it tells. */
function wasLaunched({ placesOf }: AdoptParts, { namespace, id }: Bundle, container: Container | undefined): boolean {
  return container ? launchConfigOf(container) !== undefined : existsSync(placesOf(namespace, id).netns)
}

async function recordOf(
  parts: AdoptParts,
  { namespace, id }: Pick<Bundle, 'namespace' | 'id'>,
): Promise<Container | undefined> {
  try {
    return await parts.containers.get(namespace, id)
  } catch (error) {
    if (isGantryError(error, 'NOT_FOUND')) return undefined
    throw error
  }
}

async function shimPathOf(parts: AdoptParts, bundle: Bundle, container: Container | undefined): Promise<string> {
  const recorded = await readShimPath(bundle)
  return recorded ?? (await resolveShim(container?.runtime.name ?? 'io.containerd.gantry.v1', parts.shims)).path
}

/** It ended while we were away: its shim's event may have found nobody. */
function tellExit(parts: AdoptParts, task: RunningTask, { pid, exitStatus, exitedAt }: StateResponse): void {
  task.exit = { pid, exitStatus, exitedAt: exitedAt ?? now() }
  task.end = task.exit
  const message = TaskExit.fromPartial({ containerId: task.id, id: task.id, ...task.exit })
  parts.exchange.publish(task.namespace, '/tasks/exit', eventAny('containerd.events.TaskExit', TaskExit, message))
}

/** Kills and removes what a dead shim left: processes, mounts, cgroups, then the bundle. Networks and pins follow in the sweep. */
async function removeDead(parts: AdoptParts, bundle: Bundle): Promise<void> {
  try {
    const shimPath = await shimPathOf(parts, bundle, await recordOf(parts, bundle))
    await parts.teardown.deleteLeftovers(bundle, shimPath)
    const hidden = await hideBundle(bundle)
    if (hidden) await removeBundle(hidden, bundle.workPath)
  } catch (error) {
    parts.logger.error({ ns: bundle.namespace, id: bundle.id, err: error }, 'a dead task could not be taken away')
  }
}

async function removeStrayPins(parts: AdoptParts, isKnown: (ns: string, id: string) => boolean): Promise<void> {
  for (const { ns, id, path } of await foldersIn(join(parts.roots.state, 'netns')))
    if (!isKnown(ns, id)) await removeNetns(path)
}

/**
 * The folder of a launched container is made at its first start. Without a task and a record it is a leftover; with a
 * record that was to go with its task, both are.
 */
async function removeStrayFolders(parts: AdoptParts): Promise<void> {
  for (const { ns, id, path } of await foldersIn(join(parts.roots.root, 'containers'))) {
    if (parts.table.has(ns, id)) continue
    const record = await recordOf(parts, { namespace: ns, id })
    if (!record) await rm(path, { recursive: true, force: true })
    else await afterExit(parts, ns, id, async () => {})
  }
}
