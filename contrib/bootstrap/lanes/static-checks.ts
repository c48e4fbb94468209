/** The checks that run nothing: each is one command and counts as one test. */
import { join } from 'node:path'
import { runCommand } from './command.ts'
import type { Lane, Tally } from './lane.ts'

const cargo = (...args: string[]) => ['cargo', ...args, '--manifest-path', 'shim-native/Cargo.toml']

const checks: Record<string, string[]> = {
  'types (tsc)': ['node_modules/.bin/tsc', '--noEmit', '-p', '.'],
  'lint and format (biome)': ['node_modules/.bin/biome', 'ci', '--error-on-warnings', '.'],
  'import law (dependency-cruiser)': [
    'node_modules/.bin/depcruise',
    '--config',
    '.dependency-cruiser.cjs',
    'api',
    'core',
    'plugins',
    'cmd',
  ],
  'unused code (knip)': ['node_modules/.bin/knip', '--no-progress'],
  'contracts (buf lint)': ['node_modules/.bin/buf', 'lint'],
  'contracts (buf format)': ['node_modules/.bin/buf', 'format', '--diff', '--exit-code'],
  'rust format (cargo fmt)': cargo('fmt', '--check', '--all'),
  'rust lint (cargo clippy)': [
    ...cargo('clippy', '--release', '--locked', '--workspace', '--all-targets'),
    '--',
    '-D',
    'warnings',
  ],
}

/** Debian's rustc-web brings neither; a rustup tool chain does. */
const optional: Record<string, string[]> = {
  'rust format (cargo fmt)': ['cargo', 'fmt', '--version'],
  'rust lint (cargo clippy)': ['cargo', 'clippy', '--version'],
}

export function staticLane(repo: string): Lane {
  process.env.PATH = `${join(repo, 'node_modules/.bin')}:${process.env.PATH}`
  return async () => {
    const tally: Tally = { passed: 0, failed: [], skipped: 0 }
    for (const [name, argv] of Object.entries(checks)) await check(repo, name, argv, tally)
    return tally
  }
}

async function check(repo: string, name: string, argv: string[], tally: Tally): Promise<void> {
  const probe = optional[name]
  if (probe !== undefined && (await runCommand(probe, { cwd: repo })).code !== 0) {
    console.log(`- ${name}: left out, this tool chain does not have it`)
    tally.skipped++
    return
  }
  const { code } = await runCommand(argv, { cwd: repo })
  console.log(`${code === 0 ? '✔' : '✖'} ${name}`)
  if (code === 0) tally.passed++
  else tally.failed.push(`${name}: ${argv.join(' ')}`)
}
