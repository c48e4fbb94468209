/** `cargo test` over the workspace, counted by its own summary lines. */
import { runCommand } from './command.ts'
import type { Lane } from './lane.ts'

export function rustLane(repo: string): Lane {
  return async () => {
    if ((await runCommand(['cargo', '--version'], { cwd: repo })).code !== 0) {
      console.log('left out: there is no cargo for this user')
      return { passed: 0, failed: [], skipped: 1 }
    }
    const argv = [
      'cargo',
      'test',
      '--release',
      '--locked',
      '--workspace',
      '--manifest-path',
      'shim-native/Cargo.toml',
      '--no-fail-fast',
    ]
    const { code, output } = await runCommand(argv, { cwd: repo, live: true })
    const summaries = [...output.matchAll(/^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored/gm)]
    const sum = (group: number) => summaries.reduce((total, match) => total + Number(match[group]), 0)
    const failed = [...output.matchAll(/^test (\S+) \.\.\. FAILED$/gm)].map(match => `rust: ${match[1]}`)
    if (code !== 0 && failed.length === 0) failed.push('rust: cargo test did not run to its end')
    return { passed: sum(1), failed, skipped: sum(3) }
  }
}
