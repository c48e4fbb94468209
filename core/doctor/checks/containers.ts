import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { foldersIn } from '#api/sys/folders.ts'
import { launchConfigOf } from '#core/launch/launch.ts'
import { type ContainerRecord, type Metadata, Pace } from '#core/metadata/metadata.ts'
import type { TaskManager } from '#core/tasks/tasks.ts'
import type { Check, Finding } from '../doctor.ts'
import { isStored, stored } from '../stored.ts'

interface Parts {
  readonly metadata: Metadata
  readonly tasks: Pick<TaskManager, 'has'>
  readonly roots: { readonly root: string }
}

/** Records with snapshots and images, folders with records. */
export function containersCheck(parts: Parts): Check {
  return {
    name: 'containers',
    async *run(round) {
      const { metadata, tasks } = parts
      for await (const { ns, rest, value } of stored<ContainerRecord>(metadata, 'containers')) {
        round.count()
        const [id = ''] = rest
        yield* snapshotFindings(metadata, ns, id, value, tasks.has(ns, id))
        if (value.image !== '' && !isStored(metadata, ns, 'images', value.image))
          yield {
            severity: 'note',
            object: `container ${ns}/${id}`,
            problem: `was made from image ${value.image}, which is not there any more`,
            advice: 'nothing to do: it keeps what it needs',
          }
      }
      yield* folderFindings(parts)
      yield* ownNameFindings(metadata)
    },
  }
}

/** A launched container gets its snapshot with its first start; a client of its own may name one it never makes. */
function* snapshotFindings(
  metadata: Metadata,
  ns: string,
  id: string,
  container: ContainerRecord,
  hasTask: boolean,
): Generator<Finding> {
  const { snapshotter, snapshotKey } = container
  if (snapshotter === '' || snapshotKey === '' || isStored(metadata, ns, 'snapshots', snapshotter, snapshotKey)) return
  if (!hasTask && launchConfigOf(container) !== undefined) return
  yield {
    severity: hasTask ? 'damage' : 'note',
    object: `container ${ns}/${id}`,
    problem: `has no snapshot ${snapshotKey} on ${snapshotter}`,
    advice: hasTask ? 'its root filesystem is at stake: stop it and make it again' : 'it cannot start: remove it',
  }
}

async function* folderFindings({ metadata, tasks, roots }: Parts): AsyncGenerator<Finding> {
  for (const { ns, id, path } of await foldersIn(join(roots.root, 'containers')))
    if (!isStored(metadata, ns, 'containers', id) && !tasks.has(ns, id))
      yield {
        severity: 'damage',
        object: `folder ${path}`,
        problem: 'belongs to no container',
        advice: 'repair removes it, with the log in it',
        repair: () => rm(path, { recursive: true, force: true }),
      }
}

/** `['container-names', ns, name]`: an index of core/launch, by which a container is found by its name. */
async function* ownNameFindings(metadata: Metadata): AsyncGenerator<Finding> {
  for await (const entries of metadata.listInSteps<string>(['container-names'], new Pace()))
    for (const { key, value } of entries) {
      const [, ns, name] = key.map(String)
      const id = typeof value === 'string' ? value : ''
      if (id !== '' && isStored(metadata, ns ?? '', 'containers', id)) continue
      yield {
        severity: 'note',
        object: `container name ${ns}/${name}`,
        problem: 'names a container that is gone',
        advice: 'nothing to do: whoever takes the name next gets it',
      }
    }
}
