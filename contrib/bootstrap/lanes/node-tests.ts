/** Files of node:test, each in a process of its own. */
import { join, relative } from 'node:path'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import type { Lane, Tally } from './lane.ts'

/** A file may take so long before it counts as hung. */
const timeoutMs = 15 * 60_000

export function nodeLane(repo: string, files: readonly string[], concurrency: number): Lane {
  return async () => {
    const tally: Tally = { passed: 0, failed: [], skipped: 0 }
    if (files.length === 0) return tally
    const stream = run({ files: files.map(file => join(repo, file)), concurrency, timeout: timeoutMs })
    stream.on('test:pass', event => {
      if (event.skip !== undefined || event.todo !== undefined) tally.skipped++
      else if (event.details.type !== 'suite') tally.passed++
    })
    stream.on('test:fail', event => {
      if (event.details.type !== 'suite') tally.failed.push(`${relative(repo, event.file ?? '')}: ${event.name}`)
    })
    const reporter = stream.compose(spec)
    reporter.pipe(process.stdout, { end: false })
    await new Promise((resolve, reject) => reporter.once('end', resolve).once('error', reject))
    return tally
  }
}
