/**
 * For tests: a host of one's own. A test file that changes links, firewall and sysctls calls {@link inPrivateHost}
 * first; the file is then run again in a network namespace of its own, where it may do as it likes and leaves nothing.
 */
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'

const marker = 'GANTRY_TEST_PRIVATE_HOST'

/**
 * True when the file already runs in its own network namespace: define the tests. False: it was run there as one test
 * of this process, for `timeoutMs` at most, or skipped without root.
 */
export function inPrivateHost(file: string, timeoutMs = 300_000): boolean {
  if (process.env[marker] === file) return true
  const skip = process.getuid?.() === 0 ? false : 'needs root'
  test(`in a network namespace of its own: ${file.replace(/^.*\/(?=[^/]*$)/, '')}`, { skip }, t => {
    const { status, stdout, stderr } = spawnSync(
      'unshare',
      ['--net', '--mount-proc', '--mount', '--propagation', 'slave', process.execPath, '--test-reporter=spec', file],
      { env: { ...withoutTestContext(), [marker]: file }, encoding: 'utf8', timeout: timeoutMs },
    )
    for (const line of stdout.trim().split('\n')) t.diagnostic(line)
    if (status !== 0) throw new Error(`exit code ${status}\n${stdout}\n${stderr}`)
  })
  return false
}

/** A runner's child reports in a binary form unless it does not know that it is one. */
function withoutTestContext(): NodeJS.ProcessEnv {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  return env
}
