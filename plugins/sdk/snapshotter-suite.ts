/**
 * What every snapshotter must do, as tests: containerd's expectations and ours, with real mounts (so: as root).
 *
 *     snapshotterSuite('native', root => openSnapshotter(native, { root }))
 *
 * Each check gets a snapshotter on an empty root of its own. Run it in-process and over a socket: the second shows that
 * nothing is lost on the wire.
 */
import { describe, test } from 'node:test'
import { Bench, type SnapshotterFactory } from './suite/bench.ts'
import { type ContentTraits, contentChecks } from './suite/content-checks.ts'
import { descriptionChecks } from './suite/description-checks.ts'
import { lifecycleChecks } from './suite/lifecycle-checks.ts'

export type { SnapshotterFactory } from './suite/bench.ts'

/** Declares the tests, under `name`. Traits default to what a plain copy of directories can do. */
export function snapshotterSuite(name: string, factory: SnapshotterFactory, traits: Partial<ContentTraits> = {}): void {
  const skip = process.getuid?.() === 0 ? false : 'needs root: it mounts'
  const checks = { ...lifecycleChecks, ...descriptionChecks, ...contentChecks({ renamesDirectories: true, ...traits }) }
  describe(`snapshotter ${name}`, { skip }, () => {
    for (const [title, check] of Object.entries(checks))
      test(title, async () => {
        await using bench = await Bench.open(factory)
        await check(bench)
      })
  })
}
