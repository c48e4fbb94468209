import { invalidArgument, isGantryError } from '#api/errors/errors.ts'
import { parseFilters } from '#api/filters/filters.ts'
import type { TasksDefinition } from '#api/gen/containerd/services/tasks/v1/tasks.ts'
import type { Metric } from '#api/gen/containerd/types/metrics.ts'
import type { ServiceImpl } from '#api/rpc/server.ts'
import { validateIdentifier } from '#api/types/identifiers.ts'
import { now } from '#core/metadata/metadata.ts'
import { describeTask, toProcess } from './process-state.ts'
import type { ClientWishes, Exit, Task, TaskManager } from './tasks.ts'

/** containerd.services.tasks.v1.Tasks. */
export function tasksService(tasks: TaskManager, wishes: ClientWishes): ServiceImpl<typeof TasksDefinition> {
  return {
    async create(request, { namespace, signal }) {
      const { pid, id } = await tasks.create(namespace, request, signal)
      return { containerId: id, pid }
    },
    async start({ containerId, execId }, { namespace }) {
      if (execId === '') await wishes.starting(namespace, containerId)
      return await tasks.start(namespace, containerId, execId)
    },
    async delete({ containerId }, { namespace }) {
      return { id: containerId, ...(await tasks.delete(namespace, containerId)) }
    },
    async deleteProcess({ containerId, execId }, { namespace }) {
      const task = tasks.get(namespace, containerId)
      // Its shim would take this for the first process, of which we would not know that it is gone.
      if (execId === '') throw invalidArgument('exec id is empty: the first process is deleted with its task')
      return { id: execId, ...(await task.shim.delete({ id: containerId, execId })) }
    },
    async get({ containerId, execId }, { namespace }) {
      const task = tasks.get(namespace, containerId)
      return { process: toProcess(await task.shim.state({ id: containerId, execId }), task) }
    },
    async list(_, { namespace }) {
      return { tasks: await Promise.all(tasks.list(namespace).map(describeTask)) }
    },
    async kill({ containerId, execId, signal, all }, { namespace }) {
      const endsRestart =
        execId === '' &&
        (await wishes
          .killing(namespace, containerId, signal)
          .catch(error => unlessMissing(error, tasks.has(namespace, containerId))))
      try {
        return await tasks.get(namespace, containerId).shim.kill({ id: containerId, execId, signal, all })
      } catch (error) {
        unlessMissing(error, endsRestart === true)
        return {}
      }
    },
    async exec({ containerId, terminal, execId, spec, stdin, stdout, stderr }, { namespace }) {
      validateIdentifier(execId, 'exec id')
      const task = tasks.get(namespace, containerId)
      const prepared = await task.prepareExec({ execId, spec, stdin, stdout, stderr })
      return await task.shim.exec({ id: containerId, terminal, ...prepared })
    },
    async resizePty({ containerId, execId, width, height }, { namespace }) {
      return await tasks.get(namespace, containerId).shim.resizePty({ id: containerId, execId, width, height })
    },
    async closeIO({ containerId, execId, stdin }, { namespace }) {
      return await tasks.get(namespace, containerId).shim.closeIO({ id: containerId, execId, stdin })
    },
    async pause({ containerId }, { namespace }) {
      await tasks.pause(namespace, containerId)
      return {}
    },
    async resume({ containerId }, { namespace }) {
      await tasks.resume(namespace, containerId)
      return {}
    },
    async listPids({ containerId }, { namespace }) {
      return await tasks.get(namespace, containerId).shim.pids({ id: containerId })
    },
    async checkpoint({ containerId, options }, { namespace, lease }) {
      return { descriptors: await tasks.checkpoint(namespace, containerId, { options, lease }) }
    },
    async update({ containerId, resources, annotations }, { namespace }) {
      return await tasks.get(namespace, containerId).shim.update({ id: containerId, resources, annotations })
    },
    async metrics({ filters }, { namespace }) {
      const matches = filters.length === 0 ? () => true : parseFilters(filters)
      const chosen = tasks.list(namespace).filter(task => matches(path => fieldOf(task, path)))
      const metrics = await Promise.all(chosen.map(metricOf))
      return { metrics: metrics.filter(metric => metric !== undefined) }
    },
    async wait({ containerId, execId }, { namespace, signal }) {
      const task = tasks.get(namespace, containerId)
      const exit = await waitFor(task, execId, signal)
      if (execId === '') tasks.noteEnd(namespace, containerId, { pid: task.pid, ...exit })
      return exit
    },
  }
}

/** A shim that dies ends the waiting too: with the status that its death gave the container. */
async function waitFor(
  task: Task,
  execId: string,
  signal: AbortSignal,
): Promise<Pick<Exit, 'exitStatus' | 'exitedAt'>> {
  try {
    const { exitStatus, exitedAt } = await task.shim.wait({ id: task.id, execId }, { signal })
    return { exitStatus, exitedAt: exitedAt ?? now() }
  } catch (error) {
    if (!isGantryError(error, 'UNAVAILABLE')) throw error
    return await task.lost
  }
}

/** A task without figures, such as a stopped one, is left out. */
async function metricOf(task: Task): Promise<Metric | undefined> {
  const { stats } = await task.shim.stats({ id: task.id }).catch(() => ({ stats: undefined }))
  return stats && { timestamp: now(), id: task.id, data: stats }
}

function fieldOf(task: Task, [field, ...rest]: readonly string[]): string | undefined {
  if (rest.length > 0) return undefined
  return field === 'id' ? task.id : field === 'namespace' ? task.namespace : undefined
}

/** A container without a record may have a task all the same. */
function unlessMissing(error: unknown, mayBeMissing: boolean): false {
  if (mayBeMissing && isGantryError(error, 'NOT_FOUND')) return false
  throw error
}
