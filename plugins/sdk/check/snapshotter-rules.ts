/** The rules for snapshotters, against an address: those of the suite that ours run, each leaving nothing behind. */
import { isGantryError } from '#api/errors/errors.ts'
import { type ChannelOptions, connect } from '#api/rpc/client.ts'
import { snapshotClient } from '../snapshot-client.ts'
import type { Snapshotter } from '../snapshotter.ts'
import { Bench } from '../suite/bench.ts'
import { snapshotterChecks, type Terms } from '../suite/checks.ts'
import type { Rule } from './rule.ts'

export interface SnapshotterPlace {
  readonly address: string
  /** Which one is meant, where the server has several. */
  readonly name: string
  readonly options: Pick<ChannelOptions, 'namespace' | 'lease'>
}

const open = ({ address, name, options }: SnapshotterPlace) => snapshotClient(connect(address, options), name)

export function snapshotterRules(place: SnapshotterPlace, terms: Terms): Rule[] {
  return Object.entries(snapshotterChecks(terms)).map(([text, check]) => ({
    text,
    async check() {
      await using bench = await Bench.open(async () => open(place))
      try {
        await check(bench)
      } finally {
        await clear(bench.snapshotter)
      }
    },
  }))
}

/** How many snapshots it holds: the checks are for one that holds none. */
export async function countSnapshots(place: SnapshotterPlace): Promise<number> {
  const snapshotter = open(place)
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
