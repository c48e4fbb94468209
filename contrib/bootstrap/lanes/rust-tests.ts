/** `cargo test` over the workspace, counted by its own lines. Tests that fail are run once more, one by one (node-tests.ts). */
import { runCommand } from './command.ts'
import type { Lane } from './lane.ts'

const cargoTest = 'cargo test --release --locked --workspace --manifest-path shim-native/Cargo.toml --no-fail-fast'

export function rustLane(repo: string): Lane {
  return async () => {
    if ((await runCommand(['cargo', '--version'], { cwd: repo })).code !== 0) {
      console.log('left out: there is no cargo for this user')
      return { passed: 0, failed: [], skipped: 1 }
    }
    const first = await runTests(repo)
    if (first.failed.length === 0 || !first.isWhole) return told(first)
    console.log(`\n-- once more, one by one: ${first.failed.join(', ')}`)
    const again = await runTests(repo, ...first.failed, '--exact', '--test-threads=1')
    const saved = first.failed.filter(name => again.isWhole && !again.failed.includes(name))
    for (const name of saved) console.log(`PASSED ONLY ALONE: rust: ${name}`)
    const failed = first.failed.filter(name => !saved.includes(name))
    return told({ ...first, passed: first.passed + saved.length, failed })
  }
}

interface Outcome {
  passed: number
  ignored: number
  /** Paths of tests within their crates. */
  failed: string[]
  /** Every program was compiled and came to its summary; else what failed is no test. */
  isWhole: boolean
}

async function runTests(repo: string, ...options: string[]): Promise<Outcome> {
  const argv = [...cargoTest.split(' '), '--', ...options]
  const { code, output } = await runCommand(argv, { cwd: repo, live: true })
  const summaries = [...output.matchAll(/^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored/gm)]
  const sum = (group: number) => summaries.reduce((total, match) => total + Number(match[group]), 0)
  const failed = [...output.matchAll(/^test (\S+)(?: - should panic)? \.\.\. FAILED$/gm)].map(([, name = '']) => name)
  const isWhole = sum(2) === failed.length && (code === 0) === (failed.length === 0)
  return { passed: sum(1), ignored: sum(3), failed, isWhole }
}

function told({ passed, ignored, failed, isWhole }: Outcome) {
  const names = failed.map(name => `rust: ${name}`)
  return { passed, failed: isWhole ? names : [...names, 'rust: cargo test did not run to its end'], skipped: ignored }
}
