/** A short benchmark, for its figures: it fails only when it cannot be run. */
import { runCommand } from './command.ts'
import type { Lane } from './lane.ts'

const rounds = '10'

export function benchLane(repo: string): Lane {
  return async () => {
    const argv = ['env', `GANTRY_BENCH_ROUNDS=${rounds}`, process.execPath, 'contrib/bench/bench.ts']
    const { code } = await runCommand(argv, { cwd: repo, live: true })
    return code === 0
      ? { passed: 1, failed: [], skipped: 0 }
      : { passed: 0, failed: ['bench: it did not run to its end'], skipped: 0 }
  }
}
