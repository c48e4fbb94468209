/** All checks of the snapshotter contract, by the rule's text. Those that are quick to try come first. */
import type { Bench } from './bench.ts'
import { contentChecks } from './content-checks.ts'
import { descriptionChecks } from './description-checks.ts'
import { lifecycleChecks } from './lifecycle-checks.ts'
import { ownChecks } from './own-checks.ts'
import { type Traits, traitChecks } from './trait-checks.ts'

export interface Terms extends Traits {
  /** By containerd's contract alone: for a snapshotter that was not written for Gantry. */
  foreign?: boolean
}

export function snapshotterChecks({
  foreign = false,
  ...traits
}: Terms = {}): Readonly<Record<string, (bench: Bench) => Promise<void>>> {
  return {
    ...lifecycleChecks,
    ...descriptionChecks,
    ...(foreign ? {} : ownChecks),
    ...traitChecks(traits),
    ...contentChecks(),
  }
}
