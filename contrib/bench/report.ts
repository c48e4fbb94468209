/** The figures as a Markdown table; a budget that is missed is bold. */
import { cpus } from 'node:os'
import type { Figure } from './rounds.ts'

export interface Row extends Figure {
  name: string
  timesRunc: number
  budget: { ms?: number; timesRunc?: number } | undefined
}

export function formatRows(rows: readonly Row[], rounds: number): string {
  const head = `${rounds} rounds, interleaved, on ${cpus().length} cores (${cpus()[0]?.model ?? 'unknown'}), Node ${process.version}`
  const lines = rows.map(
    row =>
      `| ${row.name} | ${ms(row.medianMs)} | ${ms(row.p95Ms)} | ${ms(row.minMs)} | ${row.timesRunc.toFixed(2)} | ${verdict(row)} |`,
  )
  return [
    head,
    '',
    '| what | median ms | p95 | min | times runc | budget |',
    '|---|---|---|---|---|---|',
    ...lines,
  ].join('\n')
}

const ms = (value: number) => value.toFixed(1)

function verdict({ medianMs, timesRunc, budget }: Row): string {
  if (budget === undefined) return ''
  const missed =
    medianMs > (budget.ms ?? Number.POSITIVE_INFINITY) || timesRunc > (budget.timesRunc ?? Number.POSITIVE_INFINITY)
  const text = budget.ms === undefined ? `${budget.timesRunc} x runc` : `${budget.ms} ms`
  return missed ? `**${text}: missed**` : text
}
