/**
 * What a foreign client or part was asked to do, and how it went: each verb is a subtest, and a line of the table that
 * the suite prints at its end.
 */
import { appendFileSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

/** One per run of the suites: their processes have the runner as their parent. */
export const scoreFile = join(tmpdir(), `gantry-interop-${process.ppid}.jsonl`)

export interface Score {
  part: string
  tried: number
  passed: number
  failed: string[]
}

export class Scoreboard implements Disposable {
  readonly #scores = new Map<string, Score>()

  /** Runs `body` as a subtest; what it throws fails the suite and is counted, and the next verbs are still tried. */
  async verb(t: TestContext, part: string, name: string, body: () => Promise<void>): Promise<void> {
    const score = this.#scores.get(part) ?? { part, tried: 0, passed: 0, failed: [] }
    this.#scores.set(part, score)
    score.tried++
    await t.test(`${part}: ${name}`, async () => {
      try {
        await body()
        score.passed++
      } catch (error) {
        score.failed.push(name)
        throw error
      }
    })
  }

  /** Prints the table, and leaves it for the one of all suites. */
  [Symbol.dispose](): void {
    const scores = [...this.#scores.values()]
    console.log(formatTable(scores))
    appendFileSync(scoreFile, scores.map(score => `${JSON.stringify(score)}\n`).join(''))
  }
}

/** What all suites of this run have left so far. */
export function allScores(): Score[] {
  const lines = readFileSync(scoreFile, { encoding: 'utf8', flag: 'a+' }).split('\n')
  return lines.filter(line => line !== '').map(line => JSON.parse(line) as Score)
}

export function formatTable(scores: readonly Score[]): string {
  const rows = scores.map(({ part, tried, passed, failed }) => [
    part,
    `${tried}`,
    `${passed}`,
    failed.length === 0 ? '0' : `${failed.length}: ${failed.join(', ')}`,
  ])
  const table = [['client or part', 'verbs tried', 'passed', 'failed'], ...rows]
  const widths = [0, 1, 2].map(column => Math.max(...table.map(row => row[column]?.length ?? 0)))
  return table.map(row => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')).join('\n')
}
