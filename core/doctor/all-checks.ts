import type { LocalContentStore } from '#core/content/content.ts'
import type { Metadata } from '#core/metadata/metadata.ts'
import type { Networks } from '#core/networks/networks.ts'
import type { SnapshotterFronts } from '#core/snapshots/snapshots.ts'
import type { TaskManager } from '#core/tasks/tasks.ts'
import { containersCheck } from './checks/containers.ts'
import { contentCheck } from './checks/content.ts'
import { leasesCheck } from './checks/leases.ts'
import { mountsCheck } from './checks/mounts.ts'
import { networksCheck } from './checks/networks.ts'
import { recordsCheck } from './checks/records.ts'
import { snapshotsCheck } from './checks/snapshots.ts'
import { tasksCheck } from './checks/tasks.ts'
import type { Check } from './doctor.ts'

export interface DoctorParts {
  readonly metadata: Metadata
  readonly content: LocalContentStore
  readonly snapshots: SnapshotterFronts
  readonly tasks: Pick<TaskManager, 'has' | 'list' | 'describe'>
  readonly networks: Pick<Networks, 'detach'>
  readonly roots: { readonly root: string; readonly state: string }
  /** Runs a whole collection. */
  readonly collect: () => Promise<unknown>
}

/** Every check there is, records before what builds on them. */
export function allChecks(parts: DoctorParts): Check[] {
  return [
    recordsCheck(parts),
    contentCheck(parts),
    snapshotsCheck(parts),
    leasesCheck(parts),
    containersCheck(parts),
    networksCheck(parts),
    tasksCheck(parts),
    mountsCheck(parts),
  ]
}
