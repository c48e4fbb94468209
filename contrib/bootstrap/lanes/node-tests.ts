/**
 * Files of node:test, each in a process of its own. A file that fails is run once more, alone and after all others: what
 * fails again has failed; what passes then is told by name, as a test that wants to be mended.
 */
import { join, relative } from 'node:path'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import { type Lane, type Tally, total } from './lane.ts'

/** A file may take so long before it counts as hung. */
const timeoutMs = 15 * 60_000

export function nodeLane(repo: string, files: readonly string[], concurrency: number): Lane {
  return async () => {
    const first = await runFiles(repo, files, concurrency)
    const failing = [...first.keys()].filter(file => first.get(file)?.failed.length).toSorted()
    if (failing.length === 0) return total([...first.values()])
    console.log(`\n-- once more, one by one: ${failing.join(', ')}`)
    const again = await runFiles(repo, failing, 1)
    for (const [file, { failed }] of again)
      if (failed.length === 0)
        for (const name of first.get(file)?.failed ?? []) console.log(`PASSED ONLY ALONE: ${name}`)
    return total([...new Map([...first, ...again]).values()])
  }
}

/** What became of each file, by its path in the repository. */
async function runFiles(repo: string, files: readonly string[], concurrency: number): Promise<Map<string, Tally>> {
  const tallies = new Map<string, Tally>(files.map(file => [file, { passed: 0, failed: [], skipped: 0 }]))
  if (files.length === 0) return tallies
  const of = (path: string | undefined): [string, Tally] => {
    const file = relative(repo, path ?? repo)
    const tally = tallies.get(file) ?? { passed: 0, failed: [], skipped: 0 }
    tallies.set(file, tally)
    return [file, tally]
  }
  const stream = run({ files: files.map(file => join(repo, file)), concurrency, timeout: timeoutMs })
  stream.on('test:pass', event => {
    const [, tally] = of(event.file)
    if (event.skip !== undefined || event.todo !== undefined) tally.skipped++
    else if (event.details.type !== 'suite') tally.passed++
  })
  stream.on('test:fail', event => {
    const [file, tally] = of(event.file)
    if (event.details.type !== 'suite') tally.failed.push(`${file}: ${event.name}`)
  })
  const reporter = stream.compose(spec)
  reporter.pipe(process.stdout, { end: false })
  await new Promise((resolve, reject) => reporter.once('end', resolve).once('error', reject))
  return tallies
}
