/** What the events of shims say of the ends and the health of containers. */
import { TaskExit, TaskOOM } from '#api/gen/containerd/events/task.ts'
import { HealthChanged } from '#api/gen/gantry/health/v1/health.ts'
import type { Logger } from '#api/log/log.ts'
import type { EventExchange } from '#core/events/events.ts'
import type { LastRuns, PlacesOf } from '#core/launch/launch.ts'
import { now } from '#core/metadata/metadata.ts'
import { gatherOomReport } from './oom-report.ts'
import type { RunningTask } from './running-task.ts'
import type { TaskTable } from './task-table.ts'

export interface ExitWatchParts {
  readonly exchange: EventExchange
  readonly lastRuns: LastRuns
  readonly table: TaskTable
  readonly placesOf: PlacesOf
  readonly logger: Logger
  /** A task of ours has ended: what was to go with it goes. */
  ended(task: RunningTask): void
}

/**
 * Records how containers ended; remembers it of tasks too, so that a shim that dies afterwards causes no second exit
 * event. Resolves when `stopped` is aborted.
 */
export async function watchExits(parts: ExitWatchParts, stopped: AbortSignal): Promise<void> {
  const filters = ['topic=="/tasks/exit"', 'topic=="/tasks/oom"', 'topic=="/health/status"']
  for await (const { namespace, topic, event } of parts.exchange.subscribe(filters, stopped)) {
    if (!event) continue
    try {
      if (topic === '/tasks/oom') ranOutOfMemory(parts, namespace, TaskOOM.decode(event.value).containerId)
      else if (topic === '/health/status') healthChanged(parts, namespace, HealthChanged.decode(event.value))
      else ended(parts, namespace, TaskExit.decode(event.value))
    } catch (err) {
      // Clients may publish whatever they like.
      parts.logger.warn({ ns: namespace, topic, err }, 'an event that says nothing was passed over')
    }
  }
}

/** The mark at once; the rest takes a moment, in which the exit may come. */
function ranOutOfMemory({ lastRuns, table, placesOf }: ExitWatchParts, namespace: string, id: string): void {
  lastRuns.oomKilled(namespace, id)
  const task = table.find(namespace, id)
  if (!task?.launched) return
  void gatherOomReport(task, placesOf(namespace, id).logFile).then(report =>
    lastRuns.oomReported(namespace, id, report),
  )
}

function healthChanged({ lastRuns }: ExitWatchParts, namespace: string, { containerId, health }: HealthChanged): void {
  if (health) lastRuns.healthChanged(namespace, containerId, health)
}

function ended(
  { lastRuns, table, ended }: ExitWatchParts,
  namespace: string,
  { containerId, id, pid, exitStatus, exitedAt = now() }: TaskExit,
): void {
  if (id !== containerId) return
  lastRuns.exited(namespace, containerId, { exitStatus, exitedAt })
  const task = table.find(namespace, containerId)
  if (!task) return
  task.exit = { pid, exitStatus, exitedAt }
  table.markEnded(task, task.exit)
  ended(task)
}
