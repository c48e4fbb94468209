import { readFile } from 'node:fs/promises'
import { join, sep } from 'node:path'
import { unmount } from '#api/sys/sys.ts'
import type { Metadata, MountRecord } from '#core/metadata/metadata.ts'
import type { TaskManager } from '#core/tasks/tasks.ts'
import type { Check, Finding } from '../doctor.ts'
import { stored } from '../stored.ts'
import { bundleFolder } from './tasks.ts'

interface Parts {
  readonly metadata: Metadata
  readonly tasks: Pick<TaskManager, 'has'>
  readonly roots: { readonly state: string }
}

/** The host's mounts below our state against bundles and activations. (Pinned namespaces: the networks check.) */
export function mountsCheck({ metadata, tasks, roots }: Parts): Check {
  return {
    name: 'mounts',
    async *run(round) {
      const held = new Set<string>()
      const mountPoints = new Set(await mountPointsBelow(roots.state))
      for await (const { ns, rest, value } of stored<MountRecord>(metadata, 'mounts')) {
        round.count()
        held.add(String(value.sequence))
        yield* activationFindings(ns, rest[0] ?? '', value, mountPoints)
      }
      for (const path of mountPoints) {
        round.count()
        const [area, first = '', second = ''] = path.slice(roots.state.length + 1).split(sep)
        if (area === bundleFolder && !tasks.has(first, second)) yield leftover(path, 'a task that is gone')
        if (area === 'm' && !held.has(first)) yield leftover(path, 'an activation that is gone')
      }
    },
  }
}

function* activationFindings(
  ns: string,
  name: string,
  { active = [] }: MountRecord,
  mountPoints: ReadonlySet<string>,
): Generator<Finding> {
  for (const { mountPoint } of active)
    if (!mountPoints.has(mountPoint))
      yield {
        severity: 'damage',
        object: `activation ${ns}/${name}`,
        problem: `is not mounted at ${mountPoint}`,
        advice: 'deactivate it and activate it again',
      }
}

function leftover(path: string, owner: string): Finding {
  return {
    severity: 'damage',
    object: `mount ${path}`,
    problem: `belongs to ${owner}`,
    advice: 'repair takes it out of the tree',
    repair: () => unmount(path, { detach: true, recursive: true }),
  }
}

/** Fifth field of mountinfo, with blanks as \040 (proc_pid_mountinfo(5)). */
async function mountPointsBelow(folder: string): Promise<string[]> {
  const table = await readFile('/proc/self/mountinfo', 'utf8')
  return table
    .split('\n')
    .map(line =>
      (line.split(' ')[4] ?? '').replace(/\\([0-7]{3})/g, (_, code) => String.fromCharCode(Number.parseInt(code, 8))),
    )
    .filter(path => path.startsWith(join(folder, sep)))
}
