import { alreadyExists, notFound } from '#api/errors/errors.ts'
import { Status } from '#api/gen/containerd/types/task/task.ts'
import type { RunningTask } from './running-task.ts'
import type { Exit } from './tasks.ts'

/** The tasks of all tenant namespaces, in memory: each is `creating`, or there. */
export class TaskTable {
  readonly #namespaces = new Map<string, Map<string, RunningTask | 'creating'>>()
  readonly #changed: (ns: string, id: string) => void

  /** `changed`: a task came, went, or is in another state. */
  constructor(changed: (ns: string, id: string) => void) {
    this.#changed = changed
  }

  /** Takes the id for a task to be. ALREADY_EXISTS. */
  reserve(ns: string, id: string): void {
    const tasks = this.#namespaces.get(ns) ?? new Map()
    if (tasks.has(id)) throw alreadyExists(`task ${id}`)
    this.#namespaces.set(ns, tasks.set(id, 'creating'))
  }

  set(task: RunningTask): void {
    const tasks = this.#namespaces.get(task.namespace) ?? new Map()
    this.#namespaces.set(task.namespace, tasks.set(task.id, task))
    this.#changed(task.namespace, task.id)
  }

  /** What its shim has said it is now. An end is final. */
  mark(task: RunningTask, status: Status): void {
    if (task.status === Status.STOPPED) return
    task.status = status
    this.#changed(task.namespace, task.id)
  }

  /** As {@link mark}, by its first process' end. */
  markEnded(task: RunningTask, exit: Exit): void {
    task.end = exit
    this.mark(task, Status.STOPPED)
  }

  release(ns: string, id: string): void {
    this.#namespaces.get(ns)?.delete(id)
    this.#changed(ns, id)
  }

  /** NOT_FOUND in containerd's words. */
  get(ns: string, id: string): RunningTask {
    const task = this.#namespaces.get(ns)?.get(id)
    if (task === undefined || task === 'creating') throw notFound(`task ${id} not found`, { bare: true })
    return task
  }

  find(ns: string, id: string): RunningTask | undefined {
    const task = this.#namespaces.get(ns)?.get(id)
    return task === 'creating' ? undefined : task
  }

  has(ns: string, id: string): boolean {
    return this.#namespaces.get(ns)?.has(id) ?? false
  }

  /** Of one tenant namespace, or of all. */
  list(ns?: string): RunningTask[] {
    const maps = ns === undefined ? [...this.#namespaces.values()] : [this.#namespaces.get(ns) ?? new Map()]
    const tasks = maps.flatMap(map => [...map.values()]).filter(task => task !== 'creating')
    return tasks.sort((a, b) => (a.id < b.id ? -1 : 1))
  }
}
