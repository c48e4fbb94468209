import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { foldersIn } from '#api/sys/folders.ts'
import { removeNetns } from '#api/sys/sys.ts'
import { type Metadata, Pace } from '#core/metadata/metadata.ts'
import type { Networks } from '#core/networks/networks.ts'
import type { TaskManager } from '#core/tasks/tasks.ts'
import type { Check, Finding } from '../doctor.ts'

interface Parts {
  readonly metadata: Metadata
  readonly networks: Pick<Networks, 'detach'>
  readonly tasks: Pick<TaskManager, 'has'>
  readonly roots: { readonly state: string }
}

/** What this check reads of `['networks', 'attachment', ns, container, interface]` (core/networks). */
interface Attachment {
  readonly networkId: string
  readonly netnsPath: string
  readonly state: string
}

/** Attachments with tasks, networks and pinned namespaces; pins with tasks. */
export function networksCheck(parts: Parts): Check {
  return {
    name: 'networks',
    async *run(round) {
      for await (const entries of parts.metadata.listInSteps<Attachment>(['networks', 'attachment'], new Pace()))
        for (const { key, value } of entries) {
          round.count()
          const [, , ns = '', container = '', interfaceName = ''] = key.map(String)
          yield* attachmentFindings(parts, { ns, container, interfaceName }, value)
        }
      yield* pinFindings(parts)
    },
  }
}

function* attachmentFindings(
  { metadata, tasks, networks }: Parts,
  { ns, container, interfaceName }: { ns: string; container: string; interfaceName: string },
  { networkId, netnsPath, state }: Attachment,
): Generator<Finding> {
  const object = `attachment ${ns}/${container}/${interfaceName}`
  if (metadata.read(tx => tx.get(['networks', 'record', networkId])) === undefined)
    yield {
      severity: 'damage',
      object,
      problem: `is of network ${networkId}, which is gone`,
      advice: 'restart gantryd',
    }
  if (!tasks.has(ns, container))
    yield {
      severity: 'damage',
      object,
      problem: `(${state}) belongs to a container that does not run: its address and ports are taken`,
      advice: 'repair detaches it',
      repair: () => networks.detach(ns, container),
    }
  else if (netnsPath !== '' && !existsSync(netnsPath))
    yield {
      severity: 'damage',
      object,
      problem: `is in the network namespace ${netnsPath}, which is gone`,
      advice: `stop container ${container} and start it again`,
    }
}

async function* pinFindings({ tasks, roots }: Parts): AsyncGenerator<Finding> {
  for (const { ns, id, path } of await foldersIn(join(roots.state, 'netns')))
    if (!tasks.has(ns, id))
      yield {
        severity: 'damage',
        object: `network namespace ${path}`,
        problem: 'belongs to a container that does not run',
        advice: 'repair removes it',
        repair: () => removeNetns(path),
      }
}
