/** What a build tells while it runs: warnings, steps that begin and end, what they write, the result. */
import type { BuildResponse, Step } from '#api/gen/gantry/services/builder/v1/builder.ts'
import { now } from '#api/types/clock.ts'
import type { CheckWarning } from '../checks/checks.ts'
import type { Dockerfile } from '../language/dockerfile.ts'
import { excerpt } from '../language/location.ts'

type Tell = (event: Partial<BuildResponse>) => void

/** A step under way. */
export interface RunningStep {
  readonly id: number
  output(stream: 'stdout' | 'stderr', data: Buffer): void
  done(end: Partial<Pick<Step, 'cached' | 'missReason' | 'resultId' | 'error' | 'excerpt'>>): void
}

export class BuildEvents {
  readonly startedAt = new Date()
  readonly #tell: Tell
  #lastId = 0

  constructor(tell: Tell) {
    this.#tell = tell
  }

  warn({ rule, description, message, location }: CheckWarning, { file, lines }: Dockerfile): void {
    const line = location.startLine
    this.#tell({ warning: { rule, description, message, file, line, excerpt: excerpt({ file, lines, location }) } })
  }

  begin(step: Pick<Step, 'name'> & Partial<Step>): RunningStep {
    const id = ++this.#lastId
    const known = {
      number: 0,
      total: 0,
      cached: false,
      error: '',
      instruction: '',
      resultId: '',
      missReason: '',
      excerpt: '',
    }
    const begun: Step = { ...known, completedAt: undefined, ...step, id, startedAt: now() }
    this.#tell({ step: begun })
    return {
      id,
      output: (stream, data) => this.#tell({ output: { step: id, stderr: stream === 'stderr', data } }),
      done: end => this.#tell({ step: { ...begun, ...end, completedAt: now() } }),
    }
  }
}
