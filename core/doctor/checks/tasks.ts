import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Status } from '#api/gen/containerd/types/task/task.ts'
import { foldersIn } from '#api/sys/folders.ts'
import { type Metadata, namespaceNames } from '#core/metadata/metadata.ts'
import type { TaskManager } from '#core/tasks/tasks.ts'
import type { Check, Finding } from '../doctor.ts'
import { isStored } from '../stored.ts'

interface Parts {
  readonly metadata: Metadata
  readonly tasks: Pick<TaskManager, 'has' | 'list' | 'describe'>
  readonly roots: { readonly root: string; readonly state: string }
}

/** Containerd's name of the folder of bundles, below state and (durably) below root. */
export const bundleFolder = 'io.containerd.runtime.v2.task'

/** Bundles and shims with tasks, tasks with records. */
export function tasksCheck(parts: Parts): Check {
  return {
    name: 'tasks',
    async *run(round) {
      const { metadata, tasks } = parts
      for (const ns of metadata.read(namespaceNames))
        for (const { id } of tasks.list(ns)) {
          round.count()
          yield* taskFindings(parts, ns, id)
        }
      yield* bundleFindings(parts)
      yield* workFindings(parts)
    },
  }
}

async function* taskFindings({ metadata, tasks, roots }: Parts, ns: string, id: string): AsyncGenerator<Finding> {
  const object = `task ${ns}/${id}`
  const advice = `kill and delete it (gctr tasks rm --force ${id}), then start its container again`
  if (!existsSync(join(roots.state, bundleFolder, ns, id)))
    yield { severity: 'damage', object, problem: 'has no bundle: a restart of gantryd will not find it', advice }
  if ((await tasks.describe(ns, id))?.status === Status.UNKNOWN)
    yield { severity: 'damage', object, problem: 'has a shim that does not answer', advice }
  if (!isStored(metadata, ns, 'containers', id))
    yield { severity: 'note', object, problem: 'runs without a container record, which was deleted under it', advice }
}

async function* bundleFindings({ tasks, roots }: Parts): AsyncGenerator<Finding> {
  for (const { ns, id, path } of await foldersIn(join(roots.state, bundleFolder)))
    if (!tasks.has(ns, id))
      yield {
        severity: 'damage',
        object: `bundle ${path}`,
        problem: id.startsWith('.') ? 'was to be removed and is still there' : 'belongs to no task',
        advice: 'restart gantryd: it ends what runs in it and takes it away',
      }
}

async function* workFindings({ tasks, roots }: Parts): AsyncGenerator<Finding> {
  for (const { ns, id, path } of await foldersIn(join(roots.root, bundleFolder)))
    if (!tasks.has(ns, id))
      yield {
        severity: 'damage',
        object: `work folder ${path}`,
        problem: 'belongs to no task',
        advice: 'repair removes it',
        repair: () => rm(path, { recursive: true, force: true }),
      }
}
