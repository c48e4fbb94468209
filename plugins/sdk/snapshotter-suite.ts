/**
 * What every snapshotter must do, as tests: containerd's expectations and ours, with real mounts (so: as root).
 *
 *     snapshotterSuite('native', root => openSnapshotter(native, { root }))
 *
 * Each check gets a snapshotter on an empty root of its own. Run it in-process and over a socket: the second shows that
 * nothing is lost on the wire.
 */
import { tmpdir } from 'node:os'
import { describe, test } from 'node:test'
import { Bench, type SnapshotterFactory } from './suite/bench.ts'
import { snapshotterChecks } from './suite/checks.ts'
import type { Traits } from './suite/trait-checks.ts'

export type { SnapshotterFactory } from './suite/bench.ts'

interface Home {
  /** Where the roots are made; asked when a check begins. Default: the directory for temporary files. */
  home?: () => string
  /** How a root is deleted that the snapshotter has let go of. Default: as a tree of files. */
  erase?: (root: string) => Promise<void>
}

/** Declares the tests, under `name`. */
export function snapshotterSuite(
  name: string,
  factory: SnapshotterFactory,
  { home = tmpdir, erase, ...traits }: Traits & Home = {},
): void {
  const skip = process.getuid?.() === 0 ? false : 'needs root: it mounts'
  describe(`snapshotter ${name}`, { skip }, () => {
    for (const [title, check] of Object.entries(snapshotterChecks(traits)))
      test(title, async () => {
        await using bench = await Bench.open(factory, { home: home(), erase })
        await check(bench)
      })
  })
}
