/** Runs as files: Markdown for people, JSON for programs, a picture. */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Outcome } from '../contest.ts'
import type { Machine } from '../machine.ts'
import { judge } from '../verdict.ts'
import { drawBars } from './bars.ts'
import { formatOutcome, tableHead } from './markdown.ts'

export interface GroupReport {
  readonly id: string
  readonly title: string
  /** Where and when it was played. */
  readonly machine: Machine
  readonly outcomes: readonly Outcome[]
  /** Why it has none. */
  readonly failed?: string
}

export interface Report {
  /** Peers that did not come up, and why. */
  readonly absent: ReadonlyMap<string, string>
  readonly groups: readonly GroupReport[]
}

/** `bench.md`, `bench.json` and `bench.svg` in the folder, which is made. */
export async function writeReport(folder: string, report: Report): Promise<void> {
  await mkdir(folder, { recursive: true })
  const outcomes = report.groups.flatMap(group => group.outcomes)
  await writeFile(join(folder, 'bench.md'), toMarkdown(report))
  const json = join(folder, 'bench.json')
  await writeFile(`${json}.new`, `${JSON.stringify(toJson(report), undefined, 1)}\n`)
  await rename(`${json}.new`, json)
  await writeFile(join(folder, 'bench.svg'), drawBars(outcomes))
}

/** What an earlier run left in the folder; nothing where there is none, or one of another form. */
export async function readReport(folder: string): Promise<Report> {
  const text = await readFile(join(folder, 'bench.json'), 'utf8').catch(() => '{}')
  const { absent = {}, groups = [] } = JSON.parse(text) as Partial<ReportJson>
  return {
    absent: new Map(Object.entries(absent)),
    groups: groups
      .filter(group => group.machine !== undefined)
      .map(({ rows, ...group }) => ({ ...group, outcomes: rows.map(toOutcome) })),
  }
}

/** The groups of `latest` instead of those of an earlier run, in the order of `ids`. */
export function merged(earlier: Report, latest: Report, ids: readonly string[]): Report {
  const byId = new Map([...earlier.groups, ...latest.groups].map(group => [group.id, group]))
  return { absent: latest.absent, groups: ids.flatMap(id => byId.get(id) ?? []) }
}

export function toMarkdown({ absent, groups }: Report): string {
  const [first] = groups
  if (first === undefined) return ''
  const { cpu, cores, memoryGib, kernel, node, versions } = first.machine
  const peers = Object.entries(versions).map(([name, version]) => `${name} ${version || 'n/a'}`)
  return [
    `${cores} cores (${cpu}), ${memoryGib} GiB, Linux ${kernel}, Node ${node}.`,
    `Peers: ${peers.join(', ')}.`,
    ...[...absent].map(([name, why]) => `${name}: n/a: ${why}`),
    ...groups.flatMap(group => ['', tableOf(group)]),
    '',
  ].join('\n')
}

function tableOf({ title, machine, outcomes, failed }: GroupReport): string {
  const { date, commit, load } = machine
  const run = `Run of ${date.slice(0, 16).replace('T', ' ')} UTC at ${commit}, load ${load.toFixed(1)} before.`
  const rows = outcomes.length === 0 ? [] : [tableHead(title), ...outcomes.map(formatOutcome)]
  const why = failed === undefined ? [] : [`n/a: ${failed}`]
  return [...(rows.length === 0 ? [`### ${title}`, ''] : rows), ...['', ...why, run]].join('\n')
}

type RowJson = Outcome['row'] & Pick<Outcome, 'scores'> & { out: Record<string, string> }
interface ReportJson {
  absent: Record<string, string>
  groups: (Omit<GroupReport, 'outcomes'> & { rows: RowJson[] })[]
}

function toJson({ absent, groups }: Report): ReportJson {
  return {
    absent: Object.fromEntries(absent),
    groups: groups.map(({ outcomes, ...group }) => ({ ...group, rows: outcomes.map(rowJson) })),
  }
}

/** With the verdict, for programs that have no judge. */
function rowJson(outcome: Outcome): RowJson {
  const { ours, peer, ratio, loses, missed } = judge(outcome)
  const { name, unit = 'ms', better = 'less', budget, bound } = outcome.row
  const row = { name, unit, better, ...(budget && { budget }), ...(bound !== undefined && { bound }) }
  const verdict = { ratio, against: peer?.name, loses, missed, measured: ours !== undefined }
  return { ...row, ...verdict, scores: outcome.scores, out: Object.fromEntries(outcome.out) }
}

function toOutcome({ scores, out, ...row }: RowJson): Outcome {
  return { row, scores, out: new Map(Object.entries(out)) }
}
