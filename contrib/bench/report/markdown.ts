/** The rows as Markdown tables, one for each group. A row that loses to a peer is bold, a budget that is missed too. */
import type { Outcome, Score } from '../contest.ts'
import type { Budget } from '../row.ts'
import { judge, type Verdict } from '../verdict.ts'

const head = [
  '| row | who | median | p95 | spread | CPU ms | PSS MiB | ratio | budget |',
  '|---|---|---|---|---|---|---|---|---|',
]

export function tableHead(title: string): string {
  return [`### ${title}`, '', ...head].join('\n')
}

/** A line for each contestant; the first is ours, with the verdict. */
export function formatOutcome(outcome: Outcome): string {
  const verdict = judge(outcome)
  const { row, scores, out } = outcome
  const name = verdict.loses ? `**${row.name}**` : row.name
  const unit = row.unit ?? 'ms'
  const told = scores.map(score => {
    const said = score === verdict.ours ? [ratioOf(verdict), budgetOf(row.budget, unit, verdict)] : ['', '']
    return [score.name, ...figureCells(score, unit), ...said]
  })
  const missing = [...out].map(([who, why]) => [who, `n/a: ${cell(why)}`, '', '', '', '', '', ''])
  return [...told, ...missing].map((cells, at) => `| ${[at === 0 ? name : '', ...cells].join(' | ')} |`).join('\n')
}

function figureCells({ figures, cpuMs, steady, peak, grownMib }: Score, unit: string): string[] {
  const grown = peak === undefined ? '' : ` (peak ${peak.pssMib.toFixed(0)}; RSS +${grownMib?.toFixed(0)})`
  return [
    `${brief(figures.median)} ${unit}`,
    brief(figures.p95),
    `±${(100 * figures.spread).toFixed(0)}%`,
    cpuMs === undefined ? '' : brief(cpuMs),
    steady === undefined ? '' : `${steady.pssMib.toFixed(0)}${grown}`,
  ]
}

function ratioOf({ ratio, peer, loses }: Verdict): string {
  if (ratio === undefined) return ''
  const text = `${ratio.toFixed(2)}x ${peer?.name}`
  return loses ? `**${text}**` : text
}

function budgetOf(budget: Budget | undefined, unit: string, { missed }: Verdict): string {
  if (budget === undefined) return ''
  const { times, atMost, cpuMs, grownMib } = budget
  const words = [
    times === undefined ? [] : [`${times}x`],
    atMost === undefined ? [] : [`≤ ${atMost} ${unit}`],
    cpuMs === undefined ? [] : [`≤ ${cpuMs} ms CPU`],
    grownMib === undefined ? [] : [`RSS + ≤ ${grownMib} MiB`],
  ].flat()
  const verdict = missed === undefined ? '' : missed.length === 0 ? ' pass' : ` **miss: ${missed.join(', ')}**`
  return `${words.join(', ')}${verdict}`
}

/** Three digits that count. */
export function brief(value: number): string {
  const magnitude = Math.abs(value)
  return value.toFixed(magnitude >= 100 ? 0 : magnitude >= 10 ? 1 : 2)
}

const cell = (text: string) => text.replaceAll('|', '\\|').slice(0, 160)
