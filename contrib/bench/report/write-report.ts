/** A run as files: Markdown for people, JSON for programs, a picture. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Outcome } from '../contest.ts'
import type { Machine } from '../machine.ts'
import { judge } from '../verdict.ts'
import { drawBars } from './bars.ts'
import { formatOutcome, tableHead } from './markdown.ts'

export interface GroupReport {
  readonly id: string
  readonly title: string
  readonly outcomes: readonly Outcome[]
  /** Why it has none. */
  readonly failed?: string
}

export interface Report {
  readonly machine: Machine
  /** Peers that did not come up, and why. */
  readonly absent: ReadonlyMap<string, string>
  readonly groups: readonly GroupReport[]
}

/** `bench.md`, `bench.json` and `bench.svg` in the folder, which is made. */
export async function writeReport(folder: string, report: Report): Promise<void> {
  await mkdir(folder, { recursive: true })
  const outcomes = report.groups.flatMap(group => group.outcomes)
  await writeFile(join(folder, 'bench.md'), toMarkdown(report))
  await writeFile(join(folder, 'bench.json'), `${JSON.stringify(toJson(report), undefined, 1)}\n`)
  await writeFile(join(folder, 'bench.svg'), drawBars(outcomes))
}

export function toMarkdown({ machine, absent, groups }: Report): string {
  const { date, cpu, cores, memoryGib, kernel, node, commit, load, versions } = machine
  const peers = Object.entries(versions).map(([name, version]) => `${name} ${version || 'n/a'}`)
  return [
    `Run of ${date.slice(0, 16).replace('T', ' ')} UTC at ${commit}: ${cores} cores (${cpu}), ${memoryGib} GiB, Linux ${kernel}, Node ${node}, load ${load.toFixed(1)} before.`,
    `Peers: ${peers.join(', ')}.`,
    ...[...absent].map(([name, why]) => `${name}: n/a: ${why}`),
    ...groups.flatMap(group => ['', tableOf(group)]),
    '',
  ].join('\n')
}

function tableOf({ title, outcomes, failed }: GroupReport): string {
  if (failed !== undefined) return `### ${title}\n\nn/a: ${failed}`
  return [tableHead(title), ...outcomes.map(formatOutcome)].join('\n')
}

function toJson({ machine, absent, groups }: Report): unknown {
  return {
    machine,
    absent: Object.fromEntries(absent),
    groups: groups.map(({ outcomes, ...group }) => ({ ...group, rows: outcomes.map(rowJson) })),
  }
}

function rowJson(outcome: Outcome): unknown {
  const { ours, peer, ratio, loses, missed } = judge(outcome)
  const { name, unit = 'ms', better = 'less', budget, bound } = outcome.row
  const verdict = { ratio, against: peer?.name, loses, missed, measured: ours !== undefined }
  return { name, unit, better, budget, bound, ...verdict, scores: outcome.scores, out: Object.fromEntries(outcome.out) }
}
