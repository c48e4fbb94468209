/** The short benchmark beside peers: it fails where a row is worse than its best peer, and not by chance. */
import { runCommand } from './command.ts'
import type { Lane } from './lane.ts'

export function benchLane(repo: string): Lane {
  return async () => {
    const argv = [process.execPath, 'contrib/bench/bench.ts', '--quick']
    const { code } = await runCommand(argv, { cwd: repo, live: true })
    return code === 0
      ? { passed: 1, failed: [], skipped: 0 }
      : { passed: 0, failed: ['bench: a row lost, or could not be run (see FAILED above)'], skipped: 0 }
  }
}
