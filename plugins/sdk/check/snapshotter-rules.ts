/** The rules for snapshotters, against an address: those of the suite that ours run, each leaving nothing behind. */
import { isGantryError } from '#api/errors/errors.ts'
import { connect } from '#api/rpc/client.ts'
import { snapshotClient } from '../snapshot-client.ts'
import type { Snapshotter } from '../snapshotter.ts'
import { Bench } from '../suite/bench.ts'
import { contentChecks } from '../suite/content-checks.ts'
import { descriptionChecks } from '../suite/description-checks.ts'
import { lifecycleChecks } from '../suite/lifecycle-checks.ts'
import { type Traits, traitChecks } from '../suite/trait-checks.ts'
import type { Rule } from './rule.ts'

/** `name` is which snapshotter of the server's is meant, where it has several. */
export function snapshotterRules(address: string, name: string, traits: Traits): Rule[] {
  const checks = { ...lifecycleChecks, ...descriptionChecks, ...contentChecks(), ...traitChecks(traits) }
  const open = async () => snapshotClient(connect(address, { namespace: 'default' }), name)
  return Object.entries(checks).map(([text, check]) => ({
    text,
    async check() {
      await using bench = await Bench.open(open)
      try {
        await check(bench)
      } finally {
        await clear(bench.snapshotter)
      }
    },
  }))
}

/** How many snapshots it holds: the checks are for one that holds none. */
export async function countSnapshots(address: string, name: string): Promise<number> {
  const snapshotter = snapshotClient(connect(address, { namespace: 'default' }), name)
  try {
    return (await names(snapshotter)).length
  } finally {
    await snapshotter.close()
  }
}

async function names(snapshotter: Snapshotter): Promise<string[]> {
  const found: string[] = []
  for await (const { name } of snapshotter.list()) found.push(name)
  return found
}

/** Removes everything, children first: rounds, each of which gets rid of the leaves. */
async function clear(snapshotter: Snapshotter): Promise<void> {
  for (let left = await names(snapshotter); left.length > 0; ) {
    for (const name of left)
      await snapshotter.remove(name).catch(error => {
        if (!isGantryError(error, 'FAILED_PRECONDITION') && !isGantryError(error, 'NOT_FOUND')) throw error
      })
    const still = await names(snapshotter)
    if (still.length === left.length) throw new Error(`these cannot be removed: ${still.join(', ')}`)
    left = still
  }
}
