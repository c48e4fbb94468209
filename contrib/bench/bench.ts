/**
 * `npm run bench`: the same unmodified clients on the same work, against us and against what people would pick instead, in turn, in
 * one run. What a row is: row.ts. How a run is read: docs/performance.md.
 */
import { messageOf } from '#api/errors/errors.ts'
import { type Outcome, play } from './contest.ts'
import { readMachine } from './machine.ts'
import { type Options, parseOptions } from './options.ts'
import { formatOutcome, tableHead } from './report/markdown.ts'
import { updateDocs } from './report/update-docs.ts'
import { type GroupReport, merged, type Report, readReport, writeReport } from './report/write-report.ts'
import type { Group } from './row.ts'
import { groups as allGroups } from './rows/groups.ts'
import { Stage } from './stage/stage.ts'
import { judge } from './verdict.ts'

/** What fails now fails because it was taken away: it goes into no report. */
let isAbandoned = false

/** Enough for the sign test to speak. */
const quickRounds = 10

async function main(options: Options): Promise<void> {
  const machine = readMachine()
  await using stage = new Stage({ small: options.small })
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void abandon(stage))
  const groups: GroupReport[] = []
  const wanted = options.groups.filter(({ quick }) => quick === true || !options.quick)
  const earlier = await readReport(options.output)
  for (const group of wanted) {
    groups.push({ ...(await playGroup(group, stage, options)), machine })
    if (isAbandoned) return
    await report({ absent: stage.absent, groups }, earlier, options)
  }
  for (const [name, why] of stage.absent) console.log(`\n${name}: n/a: ${why}`)
  console.log(`\nwritten: ${options.output}/bench.{md,json,svg}`)
  if (options.quick) process.exitCode = complain(groups)
}

/** After each group, so that a run that is broken off has not been for nothing. What was not played now stays as it was. */
async function report(latest: Report, earlier: Report, { output, docs }: Options): Promise<void> {
  const whole = merged(
    earlier,
    latest,
    allGroups.map(({ id }) => id),
  )
  await writeReport(output, whole)
  if (docs) await updateDocs('docs', whole)
}

/** Nobody who was started stays behind. */
async function abandon(stage: Stage): Promise<never> {
  isAbandoned = true
  await stage[Symbol.asyncDispose]().catch(error => console.log(messageOf(error)))
  process.exit(130)
}

async function playGroup(group: Group, stage: Stage, options: Options): Promise<Omit<GroupReport, 'machine'>> {
  const { id, title } = group
  const outcomes: Outcome[] = []
  console.log(`\n${tableHead(title)}`)
  try {
    await using scope = stage.scope()
    for (const row of await group.open(stage, scope)) {
      if (options.quick && row.quick !== true) continue
      const outcome = await play(
        row,
        options.rounds ?? (options.quick ? Math.min(row.rounds, quickRounds) : row.rounds),
      )
      console.log(formatOutcome(outcome))
      outcomes.push(outcome)
    }
    return { id, title, outcomes }
  } catch (error) {
    console.log(`n/a: ${messageOf(error)}`)
    return { id, title, outcomes, failed: messageOf(error) }
  }
}

/** The exit code: 1 where a row loses, or where we took no part. A peer that took none is no failure. */
function complain(groups: readonly GroupReport[]): number {
  const failed = groups.filter(group => group.failed !== undefined).map(({ id, failed }) => `${id}: ${failed}`)
  const lost = groups
    .flatMap(group => group.outcomes)
    .filter(outcome => judge(outcome).loses || outcome.out.has('gantry'))
    .map(({ row, out }) => `${row.name}: ${out.get('gantry') ?? 'slower than the best peer'}`)
  for (const line of [...failed, ...lost]) console.log(`FAILED: ${line}`)
  return failed.length + lost.length === 0 ? 0 : 1
}

await main(parseOptions(process.argv.slice(2)))
