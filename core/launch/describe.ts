/** What the core tells of a launched container. */
import type { Process } from '#api/gen/containerd/types/task/task.ts'
import type { ContainerConfig, RestartState } from '#api/gen/gantry/services/containers/v1/containers.ts'
import { askHealth } from '#api/health/health-socket.ts'
import type { Container } from '#core/containers/containers.ts'
import type { Networks } from '#core/networks/networks.ts'
import type { LastRuns } from './last-runs.ts'
import type { Inspection, StreamPaths } from './launch.ts'
import { launchConfigOf } from './launch-config.ts'
import type { PlacesOf } from './places.ts'

export interface DescribeParts {
  networks: Networks
  placesOf: PlacesOf
  lastRuns: LastRuns
  /** The container's first process as its shim says; undefined without a task. */
  taskOf(ns: string, id: string): Promise<Process | undefined>
  /** The same as far as is known here: no shim is asked. */
  knownTaskOf(ns: string, id: string): Process | undefined
  restartOf(ns: string, id: string): RestartState
}

/** Undefined for a container that was not launched. */
export async function describe(
  parts: DescribeParts,
  ns: string,
  container: Container,
  { execId = '', asksShim = true }: { execId?: string; asksShim?: boolean } = {},
): Promise<Inspection | undefined> {
  const config = launchConfigOf(container)
  if (!config) return undefined
  const { id, createdAt, extensions, labels } = container
  const [attachments, task] = await Promise.all([
    parts.networks.attachments(ns, id),
    asksShim ? parts.taskOf(ns, id) : parts.knownTaskOf(ns, id),
  ])
  // Read after the task: one that is gone by now has left its end here.
  const lastRun = parts.lastRuns.get(ns, id)
  return {
    config,
    paths: streamPaths(parts, ns, config, execId),
    attachments,
    lastRun,
    task,
    health: lastRun?.health,
    restart: parts.restartOf(ns, id),
    createdAt,
    extensions,
    labels,
  }
}

/** With what the shim of a running container knows, probes of a moment ago included. */
export async function withHealthNow(described: Inspection): Promise<Inspection> {
  const { paths, task } = described
  if (paths.healthSocket === '' || !task) return described
  return { ...described, health: (await askHealth(paths.healthSocket)) ?? described.health }
}

export function streamPaths(
  { placesOf }: Pick<DescribeParts, 'placesOf'>,
  ns: string,
  config: ContainerConfig,
  execId: string,
): StreamPaths {
  const places = placesOf(ns, config.id)
  const logged = execId === '' && config.log?.driver !== 'none'
  const healthSocket = config.healthCheck ? places.healthSocket : ''
  return { attachSocket: places.attachSocket(execId), logFile: logged ? places.logFile : '', healthSocket }
}
