/** What a build does, kept for who shows it: each step, when it began and ended, and the last lines it wrote. */
import { stripVTControlCharacters } from 'node:util'
import type { BuildResponse, Step, Warning } from '#api/gen/gantry/services/builder/v1/builder.ts'
import type { Timestamp } from '#api/gen/google/protobuf/timestamp.ts'

export interface StepProgress {
  readonly step: Step
  /** Complete lines, without control characters; the last ones only. */
  readonly lastLines: readonly string[]
}

/** Enough for a look at why a step failed. */
const mostLines = 20
const longestLine = 1024

export class BuildProgress {
  readonly #steps = new Map<number, StepProgress>()
  /** What each step wrote after its last line's end. */
  readonly #partial = new Map<number, string>()
  readonly warnings: Warning[] = []

  /** In the order in which they began. */
  get steps(): readonly StepProgress[] {
    return [...this.#steps.values()]
  }

  /** How many steps there will be: what the builder counts, or what began where that is more. */
  get total(): number {
    return this.steps.reduce((most, { step }) => Math.max(most, step.total), this.#steps.size)
  }

  tell({ step, output, warning }: BuildResponse): void {
    if (step) this.#steps.set(step.id, { lastLines: [], ...this.#steps.get(step.id), step })
    if (output) this.#write(output.step, output.data.toString())
    if (warning) this.warnings.push(warning)
  }

  #write(id: number, text: string): void {
    const known = this.#steps.get(id)
    if (known === undefined) return
    const lines = ((this.#partial.get(id) ?? '') + text).split('\n')
    this.#partial.set(id, (lines.pop() ?? '').slice(-longestLine))
    if (lines.length === 0) return
    const lastLines = [...known.lastLines, ...lines.map(shownLine)].slice(-mostLines)
    this.#steps.set(id, { ...known, lastLines })
  }
}

/** A line as it stands on a terminal at its end: what was written over is gone. */
function shownLine(text: string): string {
  const line = text.replace(/\r+$/, '')
  return stripVTControlCharacters(line.slice(line.lastIndexOf('\r') + 1))
    .replaceAll('\t', '    ')
    .slice(0, longestLine)
}

export function secondsBetween(from: Timestamp | undefined, to: Timestamp | undefined): number {
  if (from === undefined || to === undefined) return 0
  return Number(to.seconds - from.seconds) + (to.nanos - from.nanos) / 1e9
}
