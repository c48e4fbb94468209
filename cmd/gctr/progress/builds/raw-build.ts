/** A build as JSON, a line for each thing told, in the form of BuildKit's rawjson (client.SolveStatus), which tools read. */
import { createHash, randomUUID } from 'node:crypto'
import type { BuildResponse, Output, Step, Warning } from '#api/gen/gantry/services/builder/v1/builder.ts'
import { formatTime } from '../../output/units.ts'
import type { BuildView } from './build-view.ts'

const stdout = 1
const stderr = 2

export class RawBuild implements BuildView {
  readonly #out: { write(text: string): unknown }
  /** Steps are numbered in their build; a reader may have several. */
  readonly #build = randomUUID()

  constructor(out: { write(text: string): unknown }) {
    this.#out = out
  }

  tell({ step, output, warning }: BuildResponse): void {
    if (step) this.#line({ vertexes: [this.#vertex(step)] })
    if (output) this.#line({ logs: [this.#log(output)] })
    if (warning) this.#line({ warnings: [rawWarning(warning)] })
  }

  end(): void {}

  #vertex(step: Step) {
    const { name, startedAt, completedAt, cached, error } = step
    return {
      digest: this.#digest(step.id),
      name,
      started: formatTime(startedAt),
      ...(completedAt && { completed: formatTime(completedAt) }),
      ...(cached && { cached }),
      ...(error !== '' && { error }),
    }
  }

  #log({ step, stderr: isStderr, data }: Output) {
    const timestamp = new Date().toISOString()
    return { vertex: this.#digest(step), stream: isStderr ? stderr : stdout, data: data.toString('base64'), timestamp }
  }

  #digest(step: number): string {
    return `sha256:${createHash('sha256').update(`${this.#build} ${step}`).digest('hex')}`
  }

  #line(status: object): void {
    this.#out.write(`${JSON.stringify(status)}\n`)
  }
}

function rawWarning({ rule, message, description, file, line, excerpt }: Warning) {
  const bytes = (text: string) => Buffer.from(text).toString('base64')
  return {
    level: 1,
    short: bytes(`${rule}: ${message}`),
    detail: [bytes(description), bytes(excerpt)],
    sourceInfo: { filename: file },
    range: [{ start: { line }, end: { line } }],
  }
}
