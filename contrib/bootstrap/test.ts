/**
 * Runs the lanes of `npm test` one after the other and closes with one line, `N passed, N failed`:
 *   static       types, lint, import law, contracts, unused code, Rust formatting and clippy; each counts as one
 *   rust         cargo test
 *   unit         *.test.ts beside the code
 *   integration  test/: real kernel, real registry, real processes
 *   bench        starts, execs, pulls and logs beside Debian's daemons: a row that loses fails
 *   leaks        the host after all of it, compared with the host before
 * and, only when asked for by name (npm run test:vm does, inside its guest):
 *   vm           test/vm: systemd and cgroup v2
 */
import { globSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { benchLane } from './lanes/bench.ts'
import { type Lane, type Tally, total } from './lanes/lane.ts'
import { leaksLane } from './lanes/leaks.ts'
import { nodeLane } from './lanes/node-tests.ts'
import { rustLane } from './lanes/rust-tests.ts'
import { staticLane } from './lanes/static-checks.ts'

const repo = join(import.meta.dirname, '..', '..')
const isRoot = process.getuid?.() === 0
const files = (...patterns: string[]) =>
  globSync(patterns, { cwd: repo, exclude: ['**/node_modules/**', 'api/gen/**', 'build/**'] }).toSorted()

const leaks = leaksLane()
const lanes: Record<string, Lane> = {
  static: staticLane(repo),
  rust: rustLane(repo),
  unit: nodeLane(repo, files('{api,core,plugins,cmd,contrib}/**/*.test.ts'), availableParallelism()),
  integration: nodeLane(repo, files('test/!(vm)/**/*.test.ts'), 1),
  bench: benchLane(repo),
  leaks,
  vm: nodeLane(repo, files('test/vm/*.test.ts'), 1),
}
const onlyOnRequest = ['vm']

/** Lanes that make no sense without root, and why. */
const needsRoot: Record<string, string> = {
  integration: 'containers need root',
  bench: 'containers need root',
  leaks: 'nothing was done to the host',
}

const wanted =
  process.argv.length > 2 ? process.argv.slice(2) : Object.keys(lanes).filter(name => !onlyOnRequest.includes(name))
const tallies: Tally[] = []
for (const name of wanted) {
  const lane = lanes[name]
  if (lane === undefined) throw new Error(`no lane is called "${name}"; there are ${Object.keys(lanes).join(', ')}`)
  if (!isRoot && name in needsRoot) {
    console.log(`\n== ${name}: left out, ${needsRoot[name]} and this is not root`)
    tallies.push({ passed: 0, failed: [], skipped: 1 })
    continue
  }
  console.log(`\n== ${name}`)
  tallies.push(await lane())
}

const { passed, failed, skipped } = total(tallies)
for (const name of failed) console.log(`FAILED: ${name}`)
console.log(`${passed} passed, ${failed.length} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`)
process.exitCode = failed.length === 0 ? 0 : 1
